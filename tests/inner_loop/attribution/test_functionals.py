"""Shapley and LIME functionals against closed forms and the reference libraries."""

import numpy as np
import pytest
import shap
from lime.lime_text import LimeTextExplainer
from sklearn.linear_model import LinearRegression

from inner_loop.attribution.coalitions import coalition_design
from inner_loop.attribution.lime import lime_functional
from inner_loop.attribution.shapley import shapley_functional
from inner_loop.attribution.surrogate import all_coalitions, coalition_numbers, posterior_weights


def rough_game(n_units, seed):
    """Values of all coalitions with interactions of every order, like a reward model's but rougher."""
    rng = np.random.default_rng(seed)
    parities = np.prod(1 - 2.0 * (all_coalitions(n_units)[:, None] & all_coalitions(n_units)[None]), axis=2)
    orders = all_coalitions(n_units).sum(axis=1)
    return parities @ (rng.normal(size=2**n_units) * 0.3**orders)


def test_shapley_values_of_a_pair_bonus():
    # Worths [.3, -.1, .5]; units 0 and 2 together earn .4 more, which the two share equally.
    coalitions = all_coalitions(3)
    values = coalitions @ np.array([0.3, -0.1, 0.5]) + 0.4 * (coalitions[:, 0] & coalitions[:, 2])
    assert shapley_functional(3) @ values == pytest.approx([0.5, -0.1, 0.7], abs=1e-12)


def test_shapley_values_are_those_of_the_shap_package():
    game = rough_game(6, seed=0)
    kernel = shap.KernelExplainer(lambda rows: game[coalition_numbers(rows > 0)], np.zeros((1, 6)))
    # With all 64 coalitions allowed, KernelExplainer enumerates them.
    expected = kernel.shap_values(np.ones(6), nsamples=64, silent=True, l1_reg=0)
    np.testing.assert_allclose(shapley_functional(6) @ game, expected, atol=1e-9)


def test_lime_recovers_an_additive_game_exactly():
    worths = np.random.default_rng(1).normal(size=7)
    np.testing.assert_allclose(lime_functional(7) @ (2.0 + all_coalitions(7) @ worths), worths, atol=1e-10)


def test_lime_is_the_limit_of_the_lime_package():
    words = ["zero", "one", "two", "three", "four"]
    game = rough_game(5, seed=2)

    def probabilities(texts):
        present = np.array([[word in text for word in words] for text in texts])
        return game[coalition_numbers(present)][:, None]

    explainer = LimeTextExplainer(random_state=0, feature_selection="none")
    # Ridge(alpha=1) against 40,000 samples is next to nothing; plain least squares leaves nothing of it.
    explanation = explainer.explain_instance(
        " ".join(words), probabilities, labels=(0,), num_samples=40_000, model_regressor=LinearRegression()
    )
    found = [value for _, value in sorted(explanation.as_map()[0])]
    expected = lime_functional(5) @ game
    # Monte Carlo error of 40,000 draws: about 1/200 of the coefficients' scale.
    np.testing.assert_allclose(found, expected, atol=0.02 * np.abs(expected).max())


@pytest.mark.parametrize("n_units", [1, 2, 5, 8, 12])
@pytest.mark.parametrize("budget", [8, 33, 64])
def test_designs_spend_at_most_the_budget_on_distinct_complement_pairs(n_units, budget):
    design = coalition_design(n_units, budget)
    rows = {tuple(row) for row in design.tolist()}
    assert len(rows) == len(design) == min(budget - budget % 2, 2**n_units)
    assert not design[0].any()
    assert design[1].all()
    assert all(tuple(~np.array(row)) in rows for row in rows)


def test_designs_are_nested():
    np.testing.assert_array_equal(coalition_design(10, 64)[:32], coalition_design(10, 32))


def test_a_design_needs_units():
    with pytest.raises(ValueError, match="1 to 12 units, got 13"):
        coalition_design(13, 64)


@pytest.mark.parametrize("functional", [shapley_functional, lime_functional])
def test_with_every_coalition_known_the_readout_is_exact(functional):
    game, design = rough_game(6, seed=3), coalition_design(6, 64)
    readout = posterior_weights(functional(6), design) @ game[coalition_numbers(design)]
    np.testing.assert_allclose(readout, functional(6) @ game, atol=1e-9)


def test_efficiency_holds_at_any_budget():
    game, design = rough_game(9, seed=4), coalition_design(9, 16)
    readout = posterior_weights(shapley_functional(9), design) @ game[coalition_numbers(design)]
    assert readout.sum() == pytest.approx(game[-1] - game[0], abs=1e-6)


def test_half_the_error_of_paired_kernel_shap_at_64_evaluations():
    # Independent of our own estimator: shap's KernelExplainer with the same number of evaluations.
    ours, theirs = [], []
    for seed in range(5):
        game = rough_game(10, seed=seed)
        exact, design = shapley_functional(10) @ game, coalition_design(10, 64)
        values = posterior_weights(shapley_functional(10), design) @ game[coalition_numbers(design)]
        kernel = shap.KernelExplainer(lambda rows, game=game: game[coalition_numbers(rows > 0)], np.zeros((1, 10)))
        np.random.seed(seed)  # noqa: NPY002 - the only way to seed KernelExplainer
        peer = kernel.shap_values(np.ones(10), nsamples=64, silent=True, l1_reg=0)
        ours.append(np.linalg.norm(values - exact) / np.linalg.norm(exact))
        theirs.append(np.linalg.norm(peer - exact) / np.linalg.norm(exact))
    assert np.median(ours) < 0.75 * np.median(theirs)
