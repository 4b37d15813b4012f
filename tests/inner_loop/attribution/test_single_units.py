import numpy as np
import pytest

from inner_loop.attribution import explain
from inner_loop.attribution.coalitions import all_coalitions, coalition_design
from inner_loop.attribution.single_units import SINGLE_UNIT_METHODS, single_unit_coalitions, single_unit_values
from inner_loop.errors import AttributionError


def either(texts):
    """Worth 1 if there is any praise at all: a second one adds nothing, and the first is then missed by nobody."""
    return [float("good" in text or "great" in text) + 0.5 * text.count("film") for text in texts]


@pytest.mark.parametrize("engine", ["own", "library"])
@pytest.mark.parametrize("methods", [SINGLE_UNIT_METHODS, ("shapley", *SINGLE_UNIT_METHODS)])
def test_redundant_words_are_worth_everything_alone_and_nothing_together(methods, engine):
    [credit] = explain(either, ["the"], [" good great film"], methods=methods, engine=engine)
    np.testing.assert_allclose(credit.values["solo"], [1, 1, 0.5], atol=1e-12)
    np.testing.assert_allclose(credit.values["leave_one_out"], [0, 0, 0.5], atol=1e-12)
    if "shapley" in methods:
        np.testing.assert_allclose(credit.values["shapley"], [0.5, 0.5, 0.5], atol=1e-9)


@pytest.mark.parametrize("method", SINGLE_UNIT_METHODS)
@pytest.mark.parametrize("n_units", [0, 1, 2, 5])
def test_an_additive_game_gives_every_unit_its_worth(method, n_units):
    coalitions = single_unit_coalitions(method, n_units)
    assert len(np.unique(coalitions, axis=0)) == len(coalitions)
    worths = np.arange(1.0, n_units + 1)
    scores = np.stack([coalitions @ worths + 7.0, coalitions @ -worths])
    np.testing.assert_allclose(single_unit_values(method, coalitions, scores), [worths, -worths])


def test_values_are_read_off_whatever_table_holds_their_coalitions():
    rng = np.random.default_rng(0)
    scores = rng.normal(size=16)
    for method in SINGLE_UNIT_METHODS:
        every = all_coalitions(4)
        own = single_unit_coalitions(method, 4)
        table = {row.tobytes(): score for row, score in zip(every, scores, strict=True)}
        expected = single_unit_values(method, own, np.array([[table[row.tobytes()] for row in own]]))
        np.testing.assert_array_equal(single_unit_values(method, every, scores[None]), expected)


@pytest.mark.parametrize(("n_units", "budget"), [(8, 18), (8, 32), (12, 64), (20, 64), (24, 64), (30, 62)])
def test_a_design_for_shapley_values_holds_them_for_free(n_units, budget):
    held = {row.tobytes() for row in coalition_design(n_units, budget)}
    for method in SINGLE_UNIT_METHODS:
        assert {row.tobytes() for row in single_unit_coalitions(method, n_units)} <= held


def test_beside_shapley_values_they_take_no_evaluation_more():
    text = " a good film of two friends and one great story"
    [alone] = explain(either, ["x"], [text], units="words", budget=32)
    [together] = explain(either, ["x"], [text], methods=("shapley", *SINGLE_UNIT_METHODS), units="words", budget=32)
    assert together.n_evaluations == alone.n_evaluations
    np.testing.assert_allclose(together.values["shapley"], alone.values["shapley"], atol=1e-9)


def test_a_budget_below_what_they_take_is_refused():
    message = "Leave-one-out and solo credit of 6 units takes 14 evaluations, over the budget of 13"
    with pytest.raises(AttributionError, match=message):
        explain(either, ["x"], [" not so good, not so bad"], methods=SINGLE_UNIT_METHODS, units="words", budget=13)
