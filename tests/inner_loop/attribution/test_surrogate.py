"""The surrogate's posterior."""

import numpy as np

from inner_loop.attribution.coalitions import coalition_design
from inner_loop.attribution.owen import HierarchicalValue, flat_tree
from inner_loop.attribution.shapley import shapley_functional
from inner_loop.attribution.surrogate import condition, covariance_by_distance, fit, posterior, prior_grid
from tests.inner_loop.attribution.known_games import all_coalitions, look_up, rough_game


def test_the_posterior_is_the_textbook_average_over_the_grid():
    # Plain Gaussian process regression with a vague constant, on the explicit covariance of all coalitions.
    everything, design = all_coalitions(6), coalition_design(6, 20)
    game, functional, prior = rough_game(6, seed=0), shapley_functional(everything), prior_grid(6)
    rows = design @ (1 << np.arange(6))
    apart = (everything[:, None] != everything).sum(axis=2)
    means, variances, evidence = [], [], []
    for by_distance in covariance_by_distance(6, prior):
        covariance = by_distance[apart] + 1e5
        observed, cross = covariance[np.ix_(rows, rows)], functional @ covariance[:, rows]
        solved = np.linalg.solve(observed, game[rows])
        scale = game[rows] @ solved / 19  # the vague constant takes one of 20 degrees of freedom
        means.append(cross @ solved)
        left = functional @ covariance @ functional.T - cross @ np.linalg.solve(observed, cross.T)
        variances.append(scale * np.diag(left))
        evidence.append(-np.linalg.slogdet(observed)[1] / 2 - 19 / 2 * np.log(scale))
    weights = np.exp(evidence - np.max(evidence))[:, None]
    weights /= weights.sum()
    mean = (weights * means).sum(axis=0)
    std = np.sqrt((weights * (variances + (means - mean) ** 2)).sum(axis=0))

    surrogate = fit(design)
    found = posterior(condition(HierarchicalValue(flat_tree(6)), surrogate), surrogate, game[rows][None])
    np.testing.assert_allclose(found[0][0], mean, rtol=1e-4, atol=1e-4 * np.abs(mean).max())
    np.testing.assert_allclose(found[1][0], std, rtol=1e-3)


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
