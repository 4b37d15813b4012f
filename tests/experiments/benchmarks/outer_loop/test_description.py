import types

import numpy as np
import pytest

from experiments.benchmarks.outer_loop import description
from experiments.benchmarks.outer_loop.description import (
    layout,
    measure,
    neighbour_correlation,
    seed_correlation,
    shares_of_arms,
    table_of,
    variance_components,
)
from experiments.benchmarks.outer_loop.surface import Surface


def test_variance_components_by_hand():
    # Means: arms 2, 5, 8; seeds 4, 6; grand 5. Residuals: 1, 0, -1 and -1, 0, 1.
    rewards = np.array([[2.0, 4.0, 6.0], [2.0, 6.0, 10.0]])
    found = variance_components(rewards)
    rest = 4 / 2
    arms, seeds = 2 * 18 / 2, 3 * 2 / 1
    assert found == pytest.approx({"arm": (arms - rest) / 2, "seed": (seeds - rest) / 3, "rest": rest})
    assert seed_correlation(rewards) == pytest.approx((4 / 3) / (4 / 3 + 2))


def test_variance_components_of_known_variances_are_found():
    rng = np.random.default_rng(0)
    rewards = 2 * rng.normal(size=(1, 300)) + 1 * rng.normal(size=(300, 1)) + 0.5 * rng.normal(size=(300, 300))
    found = variance_components(rewards)
    assert found == pytest.approx({"arm": 4.0, "seed": 1.0, "rest": 0.25}, rel=0.2)
    assert seed_correlation(rewards) == pytest.approx(0.8, abs=0.05)
    assert variance_components(rewards[:1]) is None
    # Without any common part the estimate may be below zero, and the share is not.
    assert seed_correlation(np.array([[1.0, 2.0], [2.0, 1.0]])) == 0.0


def test_variance_between_arms_is_split():
    mixtures, lambdas = np.array([[0.0], [2.0], [4.0]]), np.array([[0.0, 1.0]])
    shares = shares_of_arms(mixtures + lambdas)
    assert shares == pytest.approx(
        {"mixture": (8 / 3) / (8 / 3 + 0.25), "gae_lambda": 0.25 / (8 / 3 + 0.25), "interaction": 0}
    )


def test_noise_of_neighbours_by_hand():
    mixtures = np.array([[1.0, 0.0], [0.5, 0.5], [0.0, 1.0]])
    # Differences between the seeds: 1, 1, -2; neighbours are the first two and the last two.
    rewards = np.array([[[5.0], [7.0], [1.0]], [[4.0], [6.0], [3.0]]])
    assert neighbour_correlation(rewards, mixtures) == pytest.approx((1 - 2) / (1 + 2.5))
    rewards[0, 2] = np.nan
    # Without the third the mean difference is 1, and nothing is left of the noise.
    assert neighbour_correlation(rewards, mixtures) is None
    assert neighbour_correlation(rewards[:1], mixtures) is None


def test_a_seed_that_is_not_complete_helps_to_tell_noise_from_arms(monkeypatch):
    monkeypatch.setattr(description, "MIN_ARMS", 2)
    nan = np.nan
    surface = types.SimpleNamespace(
        reward=np.array([[[1.0, 2.0], [3.0, 4.0]]]),
        unfinished_reward=np.array([[[5.0, nan], [nan, 8.0]], [[nan, nan], [9.0, nan]]]),
    )
    np.testing.assert_array_equal(layout(surface), [[1.0, 4.0], [5.0, 8.0]])


def test_the_best_arm_the_kl_budget_and_the_corners_are_found():
    mixtures = np.array([[1.0, 0, 0], [0, 1, 0], [0, 0, 1], [0.5, 0.5, 0]])
    reward = np.array([[[1.0, 2], [3, 4], [5, 6], [8, 9]], [[1.0, 2], [3, 4], [5, 6], [8, 7]]])
    kl = np.zeros_like(reward)
    kl[:, 3] = 7.0
    surface = Surface(
        components=("shap", "lime", "sparse"),
        mixtures=mixtures,
        lambdas=np.array([0.5, 1.0]),
        seeds=(0, 1),
        reward=reward,
        sem=np.full_like(reward, 0.1),
        kl=kl,
        curve_steps=(0,),
        reward_curve=reward[..., None],
        kl_curve=kl[..., None],
        unfinished_reward=np.empty((0, 4, 2)),
    )
    found = measure(surface)
    assert found["best"]["weights"] == {"shap": 0.5, "lime": 0.5, "sparse": 0.0}
    assert (found["best"]["gae_lambda"], found["best"]["reward"], found["best"]["is_corner"]) == (0.5, 8.0, False)
    assert found["best_within_kl"]["weights"]["sparse"] == 1.0
    assert found["best_within_kl"]["is_corner"]
    assert found["best_by_seed"][0]["gae_lambda"] == 1.0
    assert found["corners"]["lime"]["reward"] == 4.0
    assert "best with KL <= 6" in table_of(found)
