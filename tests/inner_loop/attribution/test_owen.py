"""Hierarchical values: trees, their coalitions, and closed-form covariances."""

import itertools

import numpy as np
import pytest
import shap
from scipy.cluster.hierarchy import linkage

from inner_loop.attribution.coalitions import all_coalitions
from inner_loop.attribution.owen import (
    HierarchicalValue,
    as_tree,
    count_tree_coalitions,
    exact_weights,
    flat_tree,
    tree_coalitions,
)
from inner_loop.attribution.shapley import shapley_functional
from inner_loop.errors import AttributionError
from tests.inner_loop.attribution.known_games import look_up, random_tree, rough_game


def orders(groups):
    """All orders of the units in which every group stays together."""
    if not isinstance(groups, list):
        return [[groups]]
    return [
        list(itertools.chain(*parts))
        for members in itertools.permutations(groups)
        for parts in itertools.product(*map(orders, members))
    ]


def mean_contribution(game, groups, n_units):
    """The definition: expected contributions in a random order that keeps groups together."""
    total, permitted = np.zeros(n_units), orders(groups)
    for order in permitted:
        joined = np.tri(n_units + 1, n_units, -1, dtype=bool)[:, np.argsort(order)]
        total[order] += np.diff(look_up(game, joined))
    return total / len(permitted)


@pytest.mark.parametrize(
    "groups", [[0, 1, 2, 3, 4], [[0, 1], [2, 3, 4]], [[[3, 0], 2], [1, 4]], [2, [0, [1, 4]], 3], [[0], [[1, 2, 3], 4]]]
)
def test_values_are_mean_contributions_over_the_orders_that_keep_groups_together(groups):
    game = rough_game(5, seed=1)
    weights = exact_weights(as_tree(groups, 5), all_coalitions(5))
    np.testing.assert_allclose(weights @ game, mean_contribution(game, groups, 5), atol=1e-12)


def test_a_flat_tree_gives_shapley_values():
    coalitions = all_coalitions(7)
    np.testing.assert_allclose(exact_weights(flat_tree(7), coalitions), shapley_functional(coalitions), atol=1e-15)


def test_a_binary_tree_gives_the_values_of_shaps_partition_explainer():
    game = rough_game(7, seed=2)
    tree = linkage(np.array([[0.0], [1.0], [2.5], [4.5], [5.0], [9.0], [9.2]]))
    masker = shap.maskers.Partition(np.zeros((1, 7)), clustering=tree)
    explainer = shap.explainers.Partition(lambda rows: look_up(game, rows > 0), masker)
    expected = explainer(np.ones((1, 7)), max_evals=10_000, silent=True).values[0]
    found = as_tree(tree, 7)
    coalitions = tree_coalitions(found)
    values = exact_weights(found, coalitions) @ look_up(game, coalitions)
    np.testing.assert_allclose(values, expected, atol=1e-9)


def test_a_linkage_matrix_and_its_nested_lists_are_one_tree():
    matrix = np.array([[0, 1, 1.0, 2], [3, 2, 1.0, 2], [4, 5, 2.0, 4]])
    from_matrix, from_lists = (exact_weights(as_tree(g, 4), all_coalitions(4)) for g in (matrix, [[0, 1], [3, 2]]))
    np.testing.assert_array_equal(from_matrix, from_lists)


@pytest.mark.parametrize("n_units", [4, 6, 8, 10, 12])
def test_a_balanced_binary_tree_needs_few_coalitions(n_units):
    def halves(units):
        middle = len(units) // 2
        return [halves(units[:middle]), halves(units[middle:])] if len(units) > 1 else units[0]

    # Counted by the coalitions shap's PartitionExplainer asks for, by number of units.
    expected = {4: 12, 6: 28, 8: 44, 10: 76, 12: 108}
    tree = as_tree(halves(list(range(n_units))), n_units)
    coalitions = tree_coalitions(tree)
    assert len({row.tobytes() for row in coalitions}) == len(coalitions) == expected[n_units]
    assert count_tree_coalitions(tree, 1000) == len(coalitions)
    assert not coalitions[0].any()
    assert coalitions[1].all()


def test_exact_values_need_all_the_coalitions_of_the_tree_and_ignore_others():
    tree, game = as_tree([[0, 1, 2], [3, 4, 5]], 6), rough_game(6, seed=3)
    own = tree_coalitions(tree)
    assert exact_weights(tree, own[:-1]).size == 0
    everything = all_coalitions(6)
    np.testing.assert_allclose(exact_weights(tree, everything) @ game, exact_weights(tree, own) @ look_up(game, own))


@pytest.mark.parametrize("chain", [False, True])
def test_trees_too_large_to_list_are_counted_without_listing(chain):
    groups = list(range(200))
    if chain:
        groups = 0
        for unit in range(1, 200):
            groups = [groups, unit]
    tree = as_tree(groups, 200)
    assert count_tree_coalitions(tree, 500) == 501
    assert exact_weights(tree, np.zeros((500, 200), dtype=bool)).size == 0
    with pytest.raises(AttributionError, match="too many to list"):
        tree_coalitions(tree)


@pytest.mark.parametrize(
    ("groups", "message"),
    [
        ([[0, 1], [2]], "each of the units 0..3 once, got"),
        ([[0, 1], [1, 2, 3]], "each of the units 0..3 once, got"),
        ([[0, 1], [2, 3, 4]], "got 4 in one"),
        ([[0, 1], [2, 3], []], "non-empty lists"),
        (np.array([[0, 1, 1, 2], [0, 3, 1, 2], [4, 5, 1, 4]]), "merge every cluster once"),
        (np.zeros((2, 4)), "must be 3 x 4"),
    ],
)
def test_groups_must_partition_the_units(groups, message):
    with pytest.raises(AttributionError, match=message):
        as_tree(groups, 4)


@pytest.mark.parametrize("seed", range(8))
def test_closed_form_covariances_are_those_of_the_explicit_functional(seed):
    rng = np.random.default_rng(seed)
    tree, coalitions, rhos = as_tree(random_tree(6, rng), 6), all_coalitions(6), np.array([0.05, 0.4])
    functional, weights = HierarchicalValue(tree), exact_weights(tree, coalitions)
    signs = 2.0 * coalitions - 1
    for number, rho in enumerate(rhos):
        covariance = np.prod(1 + rho * signs[:, None] * signs, axis=2)
        cross = functional.cross_covariance(coalitions, rhos)[number]
        np.testing.assert_allclose(cross, weights @ covariance, atol=1e-12)
        variance = np.diag(weights @ covariance @ weights.T)
        np.testing.assert_allclose(functional.variance(rhos)[number], variance, atol=1e-12)
