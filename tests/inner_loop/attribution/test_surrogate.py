"""The surrogate's posterior."""

import numpy as np
import pytest

from inner_loop.attribution import surrogate as surrogate_module
from inner_loop.attribution.coalitions import coalition_design
from inner_loop.attribution.owen import HierarchicalValue, flat_tree
from inner_loop.attribution.shapley import shapley_functional
from inner_loop.attribution.surrogate import condition, covariance_by_distance, fit, posterior, prior_grid
from tests.inner_loop.attribution.known_games import all_coalitions, look_up, rough_game


def regress(covariance, rows, game, functional):
    """Plain Gaussian process regression with a vague constant, on the explicit covariance of all coalitions.

    Returns:
        Means, variances, squared scale of the covariance and log evidence.
    """
    covariance = covariance + 1e5
    observed, cross = covariance[np.ix_(rows, rows)], functional @ covariance[:, rows]
    solved = np.linalg.solve(observed, game[rows])
    scale = game[rows] @ solved / (len(rows) - 1)  # the vague constant takes one degree of freedom
    left = functional @ covariance @ functional.T - cross @ np.linalg.solve(observed, cross.T)
    evidence = -np.linalg.slogdet(observed)[1] / 2 - (len(rows) - 1) / 2 * np.log(scale)
    return cross @ solved, scale * np.diag(left), scale, evidence


def regress_under_each(rows, game, functional):
    """`regress` under every prior of the grid for 6 units, with their weights and covariances."""
    everything = all_coalitions(6)
    apart = (everything[:, None] != everything).sum(axis=2)
    covariances = covariance_by_distance(6, prior_grid(6))[:, apart]
    means, variances, scales, evidence = map(
        np.array, zip(*(regress(covariance, rows, game, functional) for covariance in covariances), strict=True)
    )
    weights = np.exp(evidence - evidence.max())
    return means, variances, scales, weights / weights.sum(), covariances


def test_the_posterior_is_the_textbook_average_over_the_grid():
    design, game, functional = coalition_design(6, 20), rough_game(6, seed=0), shapley_functional(all_coalitions(6))
    rows = design @ (1 << np.arange(6))
    means, variances, _, weights, _ = regress_under_each(rows, game, functional)
    weights = weights[:, None]
    mean = (weights * means).sum(axis=0)
    std = np.sqrt((weights * (variances + (means - mean) ** 2)).sum(axis=0))

    surrogate = fit(design)
    found = posterior(condition(HierarchicalValue(flat_tree(6)), surrogate), surrogate, game[rows][None])
    np.testing.assert_allclose(found[0][0], mean, rtol=1e-4, atol=1e-4 * np.abs(mean).max())
    np.testing.assert_allclose(found[1][0], std, rtol=1e-3)


def test_many_coalitions_are_explained_by_the_mean_prior_that_the_first_ones_leave(monkeypatch):
    monkeypatch.setattr(surrogate_module, "MAX_AVERAGED", 16)
    design, game, functional = coalition_design(6, 40), rough_game(6, seed=0), shapley_functional(all_coalitions(6))
    rows = design @ (1 << np.arange(6))
    _, _, scales, weights, covariances = regress_under_each(rows[:16], game, functional)
    mean, variances, _, _ = regress(np.tensordot(weights * scales, covariances, axes=1), rows, game, functional)

    surrogate = fit(design)
    found = posterior(condition(HierarchicalValue(flat_tree(6)), surrogate), surrogate, game[rows][None])
    np.testing.assert_allclose(found[0][0], mean, rtol=1e-4, atol=1e-4 * np.abs(mean).max())
    np.testing.assert_allclose(found[1][0], np.sqrt(variances), rtol=1e-3)


@pytest.fixture
def many(monkeypatch):
    """A surrogate of more coalitions than the grid is averaged for, the values asked for, and 3 games' scores."""
    monkeypatch.setattr(surrogate_module, "MAX_AVERAGED", 32)
    design = coalition_design(8, 64)
    surrogate = fit(design)
    scores = np.stack([look_up(rough_game(8, seed, decay=0.1 + 0.1 * seed), design) for seed in range(3)])
    return surrogate, condition(HierarchicalValue(flat_tree(8)), surrogate), scores


def test_of_many_coalitions_too_a_result_depends_on_its_own_scores_and_follows_their_shift_and_scale(many):
    surrogate, readout, scores = many
    together, moved = (posterior(readout, surrogate, games) for games in (scores, -1e3 * scores + 7.0))
    for game in range(3):
        alone = posterior(readout, surrogate, scores[[game]])
        np.testing.assert_allclose(alone[0][0], together[0][game], rtol=1e-10)
        np.testing.assert_allclose(alone[1][0], together[1][game], rtol=1e-10)
    np.testing.assert_allclose(moved[0], -1e3 * together[0], rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(moved[1], 1e3 * together[1], rtol=1e-6)


def test_scores_that_differ_only_beyond_the_first_coalitions_still_count(many):
    surrogate, readout, scores = many
    late = np.zeros_like(scores[:1])
    late[:, 32:] = scores[:1, 32:]
    (constant, no_doubt), (mean, std) = (posterior(readout, surrogate, games) for games in (0 * late + 3.0, late))
    assert not constant.any()
    assert not no_doubt.any()
    assert (std > 0).all()
    assert mean.any()


def test_ninety_per_cent_intervals_hold_about_ninety_per_cent_of_games_drawn_from_the_prior():
    everything, design, prior = all_coalitions(8), coalition_design(8, 40), prior_grid(8)
    by_distance = covariance_by_distance(8, prior)[len(prior.weights) // 2]
    covariance = by_distance[(everything[:, None] != everything).sum(axis=2)]
    level = max(0.0, -np.linalg.eigvalsh(covariance)[0])  # main effects alone make no constant
    factor = np.linalg.cholesky(covariance + level + 1e-9 * np.eye(256))
    games = (factor @ np.random.default_rng(0).normal(size=(256, 400))).T
    surrogate = fit(design)
    scores = np.stack([look_up(game, design) for game in games])
    mean, std = posterior(condition(HierarchicalValue(flat_tree(8)), surrogate), surrogate, scores)
    inside = np.abs(mean - games @ shapley_functional(everything).T) < 1.645 * std
    assert 0.85 < inside.mean() < 0.95
