"""LIME coefficients against the definition, the lime package and closed forms."""

from math import comb

import numpy as np
import pytest
from lime.lime_text import LimeTextExplainer
from sklearn.linear_model import LinearRegression

from inner_loop.attribution.coalitions import all_coalitions
from inner_loop.attribution.lime import LimeValue, lime_functional
from tests.inner_loop.attribution.known_games import look_up, rough_game


def test_lime_recovers_an_additive_game_exactly():
    worths, coalitions = np.random.default_rng(1).normal(size=7), all_coalitions(7)
    np.testing.assert_allclose(lime_functional(coalitions) @ (2.0 + coalitions @ worths), worths, atol=1e-10)


@pytest.mark.parametrize("n_units", [2, 3, 6])
def test_coefficients_are_a_weighted_least_squares_fit(n_units):
    coalitions = all_coalitions(n_units)
    sizes = coalitions.sum(axis=1)
    # Sizes below n equally likely, sets of a size too; exponential kernel of width 25 on 100 (1 - cosine).
    drawn = np.array([1 / comb(n_units, size) if size < n_units else 0.0 for size in sizes])
    kernel = np.sqrt(np.exp(-((100 * (1 - np.sqrt(sizes / n_units))) ** 2) / 25**2))
    fit = LinearRegression().fit(coalitions, game := rough_game(n_units, seed=2), sample_weight=drawn * kernel)
    np.testing.assert_allclose(lime_functional(coalitions) @ game, fit.coef_, atol=1e-8)


def test_lime_is_the_limit_of_the_lime_package():
    words = ["zero", "one", "two", "three", "four"]
    game = rough_game(5, seed=2)

    def probabilities(texts):
        return look_up(game, np.array([[word in text for word in words] for text in texts]))[:, None]

    explainer = LimeTextExplainer(random_state=0, feature_selection="none")
    # Ridge(alpha=1) against 40,000 samples is next to nothing; plain least squares leaves nothing of it.
    explanation = explainer.explain_instance(
        " ".join(words), probabilities, labels=(0,), num_samples=40_000, model_regressor=LinearRegression()
    )
    found = [value for _, value in sorted(explanation.as_map()[0])]
    expected = lime_functional(all_coalitions(5)) @ game
    # Monte Carlo error of 40,000 draws: about 1/200 of the coefficients' scale.
    np.testing.assert_allclose(found, expected, atol=0.02 * np.abs(expected).max())


@pytest.mark.parametrize("n_units", [2, 3, 8])
def test_closed_form_covariances_are_those_of_the_explicit_functional(n_units):
    coalitions, rhos = all_coalitions(n_units), np.array([0.05, 0.4])
    functional, weights, signs = LimeValue(n_units), lime_functional(coalitions), 2.0 * coalitions - 1
    for number, rho in enumerate(rhos):
        covariance = np.prod(1 + rho * signs[:, None] * signs, axis=2)
        cross = functional.cross_covariance(coalitions, rhos)[number]
        np.testing.assert_allclose(cross, weights @ covariance, atol=1e-12)
        variance = np.diag(weights @ covariance @ weights.T)
        np.testing.assert_allclose(functional.variance(rhos)[number], variance, atol=1e-12)


def test_hundreds_of_units_neither_overflow_nor_lose_precision():
    n_units, rho = 400, 0.01
    coalitions = np.random.default_rng(0).random((20, n_units)) < 0.5
    cross = LimeValue(n_units).cross_covariance(coalitions, np.array([rho]))[0]
    # To first order in rho the prior is additive: sign coefficients of variance rho, worths twice the coefficients.
    others = rho * (2 * coalitions.sum(axis=1) - n_units)
    assert np.isfinite(cross).all()
    assert np.corrcoef((cross / np.exp(-others)).T.ravel(), (2.0 * coalitions - 1).ravel())[0, 1] > 0.5
