"""Shapley values of all coalitions, against values known by hand and the shap package."""

import numpy as np
import pytest
import shap

from inner_loop.attribution.coalitions import all_coalitions
from inner_loop.attribution.shapley import shapley_functional
from tests.inner_loop.attribution.known_games import look_up, rough_game


def test_shapley_values_of_a_pair_bonus():
    # Worths [.3, -.1, .5]; units 0 and 2 together earn .4 more, which the two share equally.
    coalitions = all_coalitions(3)
    values = coalitions @ np.array([0.3, -0.1, 0.5]) + 0.4 * (coalitions[:, 0] & coalitions[:, 2])
    assert shapley_functional(coalitions) @ values == pytest.approx([0.5, -0.1, 0.7], abs=1e-12)


def test_shapley_values_are_those_of_the_shap_package():
    game = rough_game(6, seed=0)
    explainer = shap.KernelExplainer(lambda rows: look_up(game, rows > 0), np.zeros((1, 6)))
    # With all 64 coalitions allowed, KernelExplainer enumerates them.
    expected = explainer.shap_values(np.ones(6), nsamples=64, silent=True, l1_reg=0)
    np.testing.assert_allclose(shapley_functional(all_coalitions(6)) @ game, expected, atol=1e-9)
