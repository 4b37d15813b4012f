"""Attributions of games evaluated on the same coalitions."""

import numpy as np
import pytest
import shap

from inner_loop.attribution.cache import ByteLimitedCache
from inner_loop.attribution.coalitions import all_coalitions, coalition_design
from inner_loop.attribution.estimate import METHODS, estimate
from inner_loop.attribution.lime import lime_functional
from inner_loop.attribution.owen import as_tree, exact_weights, tree_coalitions
from inner_loop.attribution.shapley import shapley_functional
from inner_loop.errors import AttributionError
from tests.inner_loop.attribution.known_games import look_up, rough_game

TREE = as_tree([[0, 1, 2], [[3, 4], 5, 6, 7]], 8)


@pytest.fixture(scope="module")
def games():
    """`20 x 256` values of games of 8 units."""
    return np.stack([rough_game(8, seed, decay=0.1 + 0.02 * seed) for seed in range(20)])


@pytest.fixture(scope="module")
def design():
    return coalition_design(8, 48)


@pytest.fixture(scope="module")
def scores(games, design):
    return np.stack([look_up(game, design) for game in games])


@pytest.mark.parametrize("method", METHODS)
def test_with_every_coalition_known_values_are_exact(method, games):
    everything = all_coalitions(8)
    order = np.random.default_rng(0).permutation(256)
    functional = {
        "shapley": shapley_functional(everything),
        "lime": lime_functional(everything),
        "owen": exact_weights(TREE, everything),
    }[method]
    result = estimate(method, everything[order], games[:, order], tree=TREE)
    np.testing.assert_allclose(result.values, games @ functional.T, atol=1e-12)
    assert not result.std.any()


def test_owen_values_are_exact_with_the_coalitions_of_the_tree_and_others(games, design):
    own = tree_coalitions(TREE)
    known = {row.tobytes() for row in own}
    coalitions = np.concatenate([own, [row for row in design if row.tobytes() not in known]])
    scores = np.stack([look_up(game, coalitions) for game in games])
    result = estimate("owen", coalitions, scores, tree=TREE)
    np.testing.assert_allclose(result.values, games @ exact_weights(TREE, all_coalitions(8)).T, atol=1e-12)
    assert not result.std.any()


@pytest.mark.parametrize("method", ["shapley", "owen"])
@pytest.mark.parametrize("scale", [1e-8, 1.0, 1e8])
def test_efficiency_holds(method, scale, scores, design):
    result = estimate(method, design, scale * scores, tree=TREE)
    np.testing.assert_allclose(result.values.sum(axis=1), scale * (scores[:, 1] - scores[:, 0]), rtol=1e-10)


@pytest.mark.parametrize("method", METHODS)
def test_values_follow_shift_and_scale_of_the_scores(method, scores, design):
    plain = estimate(method, design, scores, tree=TREE)
    moved = estimate(method, design, -1e3 * scores + 7.0, tree=TREE)
    np.testing.assert_allclose(moved.values, -1e3 * plain.values, rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(moved.std, 1e3 * plain.std, rtol=1e-6)


@pytest.mark.parametrize("method", METHODS)
def test_a_result_does_not_depend_on_the_other_games(method, scores, design):
    together = estimate(method, design, scores, tree=TREE)
    alone = estimate(method, design, scores[3:4], tree=TREE)
    np.testing.assert_allclose(together.values[3:4], alone.values, rtol=1e-12, atol=1e-13)
    np.testing.assert_allclose(together.std[3:4], alone.std, rtol=1e-12)


@pytest.mark.parametrize("method", METHODS)
def test_a_constant_game_is_worth_nothing_to_anyone(method, design):
    result = estimate(method, design, np.full((2, len(design)), 3.3), tree=TREE)
    assert not result.values.any()
    assert not result.std.any()


@pytest.mark.parametrize("method", METHODS)
def test_an_additive_game_is_found_from_few_evaluations(method):
    worths, design = np.random.default_rng(1).normal(size=8), coalition_design(8, 20)
    result = estimate(method, design, (design @ worths)[None], tree=TREE)
    np.testing.assert_allclose(result.values[0], worths, atol=3e-3)


def test_a_null_unit_gets_nothing_and_equal_units_get_the_same():
    # Unit 0 never counts; units 1 and 2 do the same.
    design = coalition_design(10, 128)
    either, both = design[:, 1] | design[:, 2], design[:, 3] & design[:, 4]
    values = estimate("shapley", design, (1.0 * either + 0.5 * both + design @ np.linspace(0, 1, 10) ** 8)[None]).values
    exact = estimate(
        "shapley",
        everything := all_coalitions(10),
        (
            1.0 * (everything[:, 1] | everything[:, 2])
            + 0.5 * (everything[:, 3] & everything[:, 4])
            + everything @ np.linspace(0, 1, 10) ** 8
        )[None],
    ).values
    np.testing.assert_allclose(values, exact, atol=0.01)


def test_no_units_have_no_values():
    assert estimate("shapley", np.zeros((1, 0), dtype=bool), np.ones((3, 1))).values.shape == (3, 0)


def test_less_than_half_the_error_of_paired_kernel_shap_at_64_evaluations():
    # Independent of our own estimator: shap's KernelExplainer with the same number of evaluations.
    ours, theirs, design = [], [], coalition_design(10, 64)
    for seed in range(5):
        game = rough_game(10, seed=seed, decay=0.2)
        exact = shapley_functional(all_coalitions(10)) @ game
        values = estimate("shapley", design, look_up(game, design)[None]).values[0]
        kernel = shap.KernelExplainer(lambda rows, game=game: look_up(game, rows > 0), np.zeros((1, 10)))
        np.random.seed(seed)  # noqa: NPY002 - the only way to seed KernelExplainer
        peer = kernel.shap_values(np.ones(10), nsamples=64, silent=True, l1_reg=0)
        ours.append(np.linalg.norm(values - exact))
        theirs.append(np.linalg.norm(peer - exact))
    assert np.median(ours) < 0.5 * np.median(theirs)


@pytest.mark.parametrize(
    ("method", "columns", "tree", "message"),
    [
        ("shaply", slice(None), None, "did you mean 'shapley'"),
        ("owen", slice(None), None, "need a tree of 8 units"),
        ("shapley", slice(1, None), None, "must hold the empty and the full one"),
    ],
)
def test_impossible_estimates_say_why(method, columns, tree, message, scores, design):
    with pytest.raises(AttributionError, match=message):
        estimate(method, design[columns], scores[:, columns], tree=tree)


def test_scores_must_be_one_per_coalition(scores, design):
    with pytest.raises(AttributionError, match="48 coalitions need r x 48 scores"):
        estimate("shapley", design, scores[:, :-1])


def test_the_cache_drops_what_was_not_used_for_longest():
    cache, computed = ByteLimitedCache(3 * 10_000), []

    def value(name):
        def compute():
            computed.append(name)
            return np.zeros(1000)

        return cache.get(name, compute)

    for name in "abacacb":
        value(name)
    # Three values of 8,000 bytes fit.
    assert computed == ["a", "b", "c"]
    # Last used: a, c, b. The fourth drops a, which then comes anew and drops c.
    for name in "dbdabc":
        value(name)
    assert computed == ["a", "b", "c", "d", "a", "c"]
