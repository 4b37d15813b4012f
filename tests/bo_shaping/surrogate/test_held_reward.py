import numpy as np
import pytest

from bo_shaping.surrogate.held_reward import Height, held_reward

STEEP = [Height(0, 0.0, 0.0), Height(10, 2.0, 8.0), Height(20, 9.0, 30.0)]


def test_the_reward_at_which_the_kl_passes_the_budget_stands_for_the_rest():
    # KL 4 is passed at step 5, with a reward of 1: a triangle of 5 x 1 / 2, then 15 x 1, over 20 steps.
    assert held_reward(STEEP, 20, 4.0) == pytest.approx((2.5 + 15) / 20)
    assert held_reward(STEEP, 20, 8.0) == pytest.approx((10 + 20) / 20)


def test_without_a_budget_or_within_it_the_area_is_that_under_the_curve():
    steps, rewards = [point.step for point in STEEP], [point.reward for point in STEEP]
    for budget in (None, 30.0, 31.0):
        assert held_reward(STEEP, 20, budget) == pytest.approx(np.trapezoid(rewards, steps) / 20)


def test_a_training_that_stopped_at_the_budget_is_worth_what_it_would_have_been_worth_without_stopping():
    stopped = [STEEP[0], STEEP[1]]
    assert held_reward(stopped, 20, 8.0) == held_reward(STEEP, 20, 8.0)
    assert held_reward(stopped, 20, 5.0) == held_reward(STEEP, 20, 5.0)


def test_of_two_that_reach_the_same_reward_at_the_same_kl_the_faster_one_is_worth_more():
    slow = [Height(0, 0.0, 0.0), Height(20, 2.0, 8.0)]
    assert held_reward(STEEP, 20, 8.0) > held_reward(slow, 20, 8.0)


def test_a_kl_that_comes_back_does_not_undo_the_passing():
    back = [Height(0, 0.0, 0.0), Height(10, 2.0, 8.0), Height(20, 5.0, 1.0)]
    assert held_reward(back, 20, 4.0) == held_reward(STEEP, 20, 4.0)


def test_a_single_point_is_its_own_mean():
    assert held_reward([Height(0, 0.5, 0.0)], 0, 4.0) == 0.5
    assert held_reward([Height(20, 0.5, 3.0)], 20, 4.0) == 0.5
    # The start is what it is, whatever its KL reads.
    assert held_reward([Height(0, 0.5, 9.0), Height(20, 2.0, 10.0)], 20, 4.0) == 0.5


def test_a_curve_that_begins_beyond_the_budget_says_nothing():
    with pytest.raises(ValueError, match="begins at step 20, where the KL is over the budget already"):
        held_reward([Height(20, 2.0, 10.0)], 20, 4.0)
