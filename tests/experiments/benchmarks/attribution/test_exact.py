import numpy as np
import pytest

from experiments.benchmarks.attribution.exact import all_coalitions, exact_lime, exact_owen, exact_shapley, look_up

WORTHS = np.array([0.3, -0.1, 0.5])
BALANCED = np.array([[0, 1, 1.0, 2], [2, 3, 1.0, 2], [4, 5, 1.0, 4]])


def additive(worths):
    return 0.2 + all_coalitions(len(worths)) @ worths


def pair_bonus():
    # Units 0 and 2 together are worth 0.4 more.
    coalitions = all_coalitions(3)
    return additive(WORTHS) + 0.4 * (coalitions[:, 0] & coalitions[:, 2])


def test_entry_c_of_a_table_belongs_to_the_binary_digits_of_c_lowest_first():
    table = np.arange(8.0)
    assert look_up(table, np.array([[True, False, False], [False, True, True]])).tolist() == [1.0, 6.0]
    assert look_up(table, all_coalitions(3)).tolist() == table.tolist()


def test_shapley_values_share_a_pair_bonus_equally():
    np.testing.assert_allclose(exact_shapley(pair_bonus()), [0.5, -0.1, 0.7], atol=1e-12)


def test_owen_values_of_a_majority_game_by_hand():
    # Worth 1 from two of three units on; units 0 and 1 are one branch. Unit 2 gets 0 after the branch and 0 before it;
    # the branch keeps the 1 for its two symmetric units, where Shapley would give everybody a third.
    table = (all_coalitions(3).sum(axis=1) >= 2).astype(float)
    linkage = np.array([[0, 1, 1.0, 2], [3, 2, 2.0, 3]])
    np.testing.assert_allclose(exact_owen(table, linkage), [0.5, 0.5, 0.0], atol=1e-12)
    np.testing.assert_allclose(exact_shapley(table), [1 / 3, 1 / 3, 1 / 3], atol=1e-12)


def test_lime_finds_the_worths_of_an_additive_game():
    np.testing.assert_allclose(exact_lime(additive(WORTHS)), WORTHS, atol=1e-9)


@pytest.mark.parametrize("values", [exact_shapley, lambda table: exact_owen(table, BALANCED)])
def test_values_sum_to_what_the_full_coalition_is_worth_more_than_the_empty_one(values):
    table = np.random.default_rng(0).normal(size=16)
    assert values(table).sum() == pytest.approx(table[-1] - table[0], abs=1e-12)
