"""Designs: what is evaluated within a budget."""

import numpy as np
import pytest

from inner_loop.attribution.coalitions import DESIGN_ORDER, all_coalitions, coalition_design
from inner_loop.attribution.owen import HierarchicalValue, as_tree, flat_tree
from inner_loop.attribution.shapley import shapley_functional
from inner_loop.attribution.surrogate import condition, covariance_by_distance, fit, prior_grid
from inner_loop.errors import AttributionError


@pytest.mark.parametrize("n_units", [1, 2, 5, 8, 12, 13, 40, 200])
@pytest.mark.parametrize("budget", [2, 3, 8, 33, 64])
def test_designs_spend_at_most_the_budget_on_distinct_complement_pairs(n_units, budget):
    design = coalition_design(n_units, budget)
    rows = {row.tobytes() for row in design}
    assert design.shape[1] == n_units
    assert len(rows) == len(design) == min(budget - budget % 2, 2**n_units)
    assert not design[0].any()
    assert design[1].all()
    assert all((~row).tobytes() in rows for row in design)


@pytest.mark.parametrize("n_units", [10, 13, 30])
def test_designs_are_nested(n_units):
    large = coalition_design(n_units, 5000)
    for budget in (32, 64, 1024, 4094):
        np.testing.assert_array_equal(coalition_design(n_units, budget), large[:budget])


@pytest.mark.parametrize(
    ("n_units", "budget"),
    [(6, 64), (11, 2**11), (13, 1000), (13, 2**13), (14, 4094), (15, 8190), (20, 2000), (20, 9000), (21, 9000)],
)
def test_budgets_beyond_the_candidates_of_the_greedy_choice_are_spent_too(n_units, budget):
    design = coalition_design(n_units, budget)
    assert len({row.tobytes() for row in design}) == len(design) == budget


def test_each_pair_leaves_least_uncertain_of_all_that_could_come_next():
    everything, design = all_coalitions(6), coalition_design(6, 24)
    (by_distance,) = covariance_by_distance(6, prior_grid(6, orders=[DESIGN_ORDER], tails=[0.0]))
    covariance = by_distance[(everything[:, None] != everything).sum(axis=2)] + 10.0
    functional = shapley_functional(everything)

    def left(rows):
        cross = functional @ covariance[:, rows]
        return -np.trace(cross @ np.linalg.solve(covariance[np.ix_(rows, rows)], cross.T))

    numbers = (design @ (1 << np.arange(6))).tolist()
    for n_known in range(2, 24, 2):
        known = numbers[:n_known]
        others = [first for first in range(32) if first not in known and 63 - first not in known]
        least = min(left([*known, first, 63 - first]) for first in others)
        assert left(numbers[: n_known + 2]) == pytest.approx(least, abs=1e-9)


def test_pairs_beyond_the_candidates_are_of_every_size_alike():
    sizes = coalition_design(20, 12_000)[6000:].sum(axis=1)
    counts = np.bincount(np.minimum(sizes, 20 - sizes), minlength=11)
    # Of sizes 2 and 3 there are only 1330 sets; of each other size a seventh of what is left, or half that of size 10.
    assert 0.8 < counts[4:10].min() / counts[4:10].mean() < counts[4:10].max() / counts[4:10].mean() < 1.25


def test_designs_leave_less_uncertain_than_random_pairs():
    units = 12
    functional = HierarchicalValue(flat_tree(units))
    firsts = np.random.default_rng(0).permutation(2**units)[:31, None] >> np.arange(units) & 1 == 1
    ends = np.array([[False], [True]]).repeat(units, axis=1)
    random = np.concatenate([ends, firsts, ~firsts])
    left = [condition(functional, fit(rows)).variances.sum(axis=1) for rows in (coalition_design(units, 64), random)]
    assert (left[0] < left[1]).all()


def test_a_design_for_a_tree_leaves_a_third_less_variance_of_its_values_whatever_the_prior():
    tree = as_tree([[0, 1, 2], [3, 4, 5, 6], [7, 8, 9, 10, 11]], 12)
    left = [
        condition(HierarchicalValue(tree), fit(coalition_design(12, 64, tree=aim))).variances.sum(axis=1)
        for aim in (tree, None)
    ]
    assert (left[0] < 2 / 3 * left[1]).all()


def test_the_seed_draws_other_candidates_of_many_units_only():
    assert not np.array_equal(coalition_design(40, 256, seed=1), coalition_design(40, 256))
    np.testing.assert_array_equal(coalition_design(10, 64, seed=1), coalition_design(10, 64))


def test_designs_are_shared_hence_read_only():
    with pytest.raises(ValueError, match="read-only"):
        coalition_design(4, 8)[0, 0] = True


def test_impossible_designs_say_why():
    with pytest.raises(AttributionError, match="at least one unit, got 0"):
        coalition_design(0, 64)
    with pytest.raises(AttributionError, match="budget of 2, got 1"):
        coalition_design(4, 1)
