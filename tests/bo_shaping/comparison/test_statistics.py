import math

import numpy as np
import pytest

from bo_shaping.comparison.statistics import (
    Training,
    interquartile_mean,
    mean,
    paired_difference,
    prob_improvement,
    ratio_of_means,
)
from inner_loop.spec import CurvePoint, TrialResult


def result(points, seconds=10.0):
    curve = [
        CurvePoint(step=step, mean=reward, sem=0.1, kl=kl, kl_k3=kl, entropy=1, length=20, distinct_2=1)
        for step, reward, kl in points
    ]
    last = curve[-1]
    return TrialResult(
        mean=last.mean, sem=0.1, kl=last.kl, curve=curve, scores=[last.mean], steps=[], samples=[],
        seconds={"setup": 99.0, "sample": seconds / 2, "attribute": seconds / 4, "update": seconds / 4},
        peak_memory_mb=1, seed=0,
    )  # fmt: skip


CLIMB = [(0, 0.0, 0.0), (10, 2.0, 4.0), (20, 3.0, 8.0)]


def test_a_training_counts_up_to_its_budget():
    training = Training.of(result(CLIMB), n_steps=20, max_kl=6.0)
    # The KL passes 6 at step 15, with a reward of 2.5; 15 of 20 steps took 7.5 of 10 seconds.
    assert (training.final, training.kl, training.seconds) == (2.5, 6.0, 7.5)
    # (10 * 1 + 5 * 2.25 + 5 * 2.5) / 20
    assert training.held == pytest.approx(33.75 / 20)
    whole = Training.of(result(CLIMB), n_steps=20, max_kl=None)
    assert (whole.final, whole.kl, whole.seconds) == (3.0, 8.0, 10.0)


def test_rewards_at_a_kl_and_after_some_seconds_lie_on_the_curve():
    training = Training.of(result(CLIMB), n_steps=20, max_kl=None)
    assert training.reward_at_kl(2.0) == 1.0
    assert training.reward_at_kl(6.0) == 2.5
    assert training.reward_at_kl(60.0) == 3.0
    assert training.reward_at_seconds(2.5) == 1.0
    assert training.reward_at_seconds(7.5) == 2.5


def test_the_first_time_a_reward_is_reached_counts():
    training = Training.of(result([(0, 0.0, 0.0), (10, 2.0, 1.0), (20, 1.0, 2.0)]), n_steps=40, max_kl=None)
    assert training.steps_to(1.5) == (7.5, True)
    assert training.steps_to(-1.0) == (0.0, True)
    assert training.steps_to(2.5) == (40.0, False)


def test_the_interquartile_mean_leaves_out_a_quarter_at_each_end():
    assert interquartile_mean(np.array([100.0, 1.0, 2.0, -50.0])).value == pytest.approx(1.5)
    # Of five, the middle half is the third, and three quarters of the second and the fourth.
    expected = (3 + 0.75 * (2 + 5)) / 2.5
    assert interquartile_mean(np.array([9.0, 5.0, 3.0, 2.0, 1.0])).value == pytest.approx(expected)


def test_intervals_cover_the_truth_as_often_as_they_say():
    rng = np.random.default_rng(0)
    samples = rng.normal(2.0, 1.0, size=(400, 30))
    covered = [low <= 2.0 <= high for _, low, high in (mean(row) for row in samples)]
    # The bootstrap of 30 is a little narrow: 93 % is usual; sd of the share is 1.2 %.
    assert 0.89 <= np.mean(covered) <= 0.98


def test_pairing_takes_out_what_the_seeds_share():
    rng = np.random.default_rng(1)
    luck = rng.normal(0, 5, 20)
    ours, theirs = luck + 0.5 + rng.normal(0, 0.1, 20), luck + rng.normal(0, 0.1, 20)
    value, low, high = paired_difference(ours, theirs)
    assert 0.4 < low < value < high < 0.6
    assert prob_improvement(ours, theirs) < 0.65


def test_ratios_and_probabilities_by_hand():
    value, low, high = ratio_of_means(np.array([1.0, 3.0]), np.array([4.0, 4.0]))
    assert (value, low, high) == (0.5, 0.25, 0.75)
    # A ratio of means, not a mean of ratios, which a small denominator would rule; and of pairs that stay together.
    assert ratio_of_means(np.array([1.0, 1.0]), np.array([0.01, 3.99])).value == pytest.approx(0.5)
    theirs = np.random.default_rng(0).uniform(0.1, 1.0, size=30)
    assert tuple(ratio_of_means(theirs / 2, theirs)) == pytest.approx((0.5, 0.5, 0.5))
    assert prob_improvement(np.array([1.0, 3.0]), np.array([1.0, 2.0])) == (0.5 + 0 + 1 + 1) / 4


def test_one_seed_has_no_interval():
    value, low, high = mean(np.array([1.5]))
    assert value == 1.5
    assert math.isnan(low)
    assert math.isnan(high)
    assert math.isnan(ratio_of_means(np.array([1.0]), np.array([2.0])).low)
    assert math.isnan(ratio_of_means(np.array([1.0, 2.0]), np.array([0.0, 0.0])).value)
