"""Attribution of a game within a budget."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inner_loop.attribution.coalitions import all_coalitions
from inner_loop.attribution.games import attribute_game
from inner_loop.attribution.owen import as_tree, exact_weights
from inner_loop.attribution.shapley import shapley_functional
from inner_loop.errors import AttributionError
from tests.inner_loop.attribution.known_games import look_up, random_tree, rough_game


class CountingGame:
    """A game of tabulated values that remembers what it was asked."""

    def __init__(self, values):
        self.values, self.calls = values, []

    def __call__(self, coalitions):
        self.calls.append(coalitions)
        return look_up(self.values, coalitions)


@settings(max_examples=60, deadline=None)
@given(
    n_units=st.integers(1, 9),
    budget=st.integers(2, 600),
    seed=st.integers(0, 99),
    method=st.sampled_from(["shapley", "lime", "owen"]),
)
def test_one_call_within_the_budget_that_conserves_the_value(n_units, budget, seed, method):
    game = CountingGame(rough_game(n_units, seed))
    groups = random_tree(n_units, np.random.default_rng(seed))
    result = attribute_game(game, n_units, method=method, budget=budget, groups=groups, seed=seed)
    (asked,) = game.calls
    assert len({row.tobytes() for row in asked}) == len(asked) == result.n_evaluations <= min(budget, 2**n_units)
    assert (result.base_value, result.full_value) == (game.values[0], game.values[-1])
    assert np.isfinite(result.values).all()
    assert (result.std >= 0).all()
    if method != "lime":
        assert result.values.sum() == pytest.approx(game.values[-1] - game.values[0], rel=1e-9, abs=1e-9)


@pytest.mark.parametrize("n_units", [1, 2, 3, 4, 5, 6])
def test_64_evaluations_enumerate_up_to_six_units(n_units):
    game = rough_game(n_units, seed=n_units)
    result = attribute_game(CountingGame(game), n_units, budget=64)
    np.testing.assert_allclose(result.values, shapley_functional(all_coalitions(n_units)) @ game, atol=1e-12)
    assert not result.std.any()
    assert result.n_evaluations == 2**n_units


def test_owen_values_are_exact_when_the_tree_fits_the_budget():
    game, groups = rough_game(10, seed=1), [[0, 1, 2], [3, 4], [5, 6, 7], [8, 9]]
    result = attribute_game(CountingGame(game), 10, method="owen", budget=200, groups=groups)
    np.testing.assert_allclose(result.values, exact_weights(as_tree(groups, 10), all_coalitions(10)) @ game, atol=1e-12)
    assert result.n_evaluations == 144  # of 4 groups 2^4, and within groups of k units 2^3 (2^k - 2)
    assert not result.std.any()


def test_owen_values_are_estimated_when_the_tree_does_not_fit():
    game, groups = rough_game(10, seed=1, decay=0.1), [[0, 1, 2, 3, 4], [5, 6, 7, 8, 9]]
    result = attribute_game(CountingGame(game), 10, method="owen", budget=64, groups=groups)
    exact = exact_weights(as_tree(groups, 10), all_coalitions(10)) @ game
    assert np.linalg.norm(result.values - exact) < 0.1 * np.linalg.norm(exact)
    assert (result.std > 0).all()


def test_hundreds_of_units_are_attributed():
    worths = np.random.default_rng(0).normal(size=200)
    result = attribute_game(lambda coalitions: coalitions @ worths, 200, budget=402)
    np.testing.assert_allclose(result.values, worths, atol=1e-2)


def test_evaluations_beyond_those_the_grid_is_averaged_for_lower_the_error_further():
    rng = np.random.default_rng(0)
    triples, strengths = rng.permuted(np.tile(np.arange(16), (200, 1)), axis=1)[:, :3], rng.normal(size=200)
    exact = np.bincount(triples.ravel(), np.repeat(strengths / 3, 3))
    errors = []
    for budget in (512, 1024, 1536):
        result = attribute_game(lambda rows: rows[:, triples].all(axis=2) @ strengths, 16, budget=budget)
        errors.append(np.linalg.norm(result.values - exact) / np.linalg.norm(exact))
    assert errors[2] < errors[1] < errors[0]


def test_the_seed_and_the_tree_decide_what_is_evaluated():
    asked = []
    for arguments in ({}, {"seed": 1}, {"method": "owen", "groups": [[*range(20)], [*range(20, 40)]]}):
        attribute_game(lambda rows: asked.append(rows) or rows.sum(axis=1), 40, budget=128, **arguments)
    assert not np.array_equal(asked[0], asked[1])
    assert not np.array_equal(asked[0], asked[2])


def test_no_units_take_one_evaluation_and_one_unit_two():
    none = attribute_game(lambda coalitions: np.full(len(coalitions), 3.0), 0, budget=64)
    assert (none.values.size, none.base_value, none.full_value, none.n_evaluations) == (0, 3.0, 3.0, 1)
    one = attribute_game(lambda coalitions: 1.0 + 2.0 * coalitions[:, 0], 1, budget=2)
    assert (one.values.tolist(), one.base_value, one.full_value, one.n_evaluations) == ([2.0], 1.0, 3.0, 2)


def test_the_same_call_gives_the_same_bits():
    game = rough_game(9, seed=5)
    first, second = (attribute_game(CountingGame(game), 9, budget=32) for _ in range(2))
    assert first.values.tobytes() == second.values.tobytes()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"method": "owens"}, "did you mean 'owen'"),
        ({"budget": 1}, "budget of 1; it takes at least 2"),
        ({"method": "owen"}, "need groups"),
        ({"method": "owen", "groups": [[0, 1], [2]]}, "units 0..3 once"),
    ],
)
def test_impossible_games_say_why(arguments, message):
    with pytest.raises(AttributionError, match=message):
        attribute_game(CountingGame(np.zeros(16)), 4, **{"budget": 16, **arguments})


def test_values_must_be_one_finite_number_per_coalition():
    with pytest.raises(AttributionError, match=r"asked for 8, got shape \(3,\)"):
        attribute_game(lambda coalitions: np.zeros(3), 3, budget=8)
    with pytest.raises(AttributionError, match=r"nan for coalition 1, in which units \[0, 1, 2\] are present"):
        attribute_game(lambda coalitions: np.where(coalitions.all(axis=1), np.nan, 0.0), 3, budget=8)
