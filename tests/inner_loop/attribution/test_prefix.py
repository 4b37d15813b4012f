import numpy as np
import pytest

from inner_loop.attribution import explain
from inner_loop.attribution.prefix import prefix_coalitions, prefix_values
from inner_loop.errors import AttributionError


def order_matters(texts):
    """Worth 1 for each "good", but 3 more where "not" comes before it: a pair bonus that the later word completes."""
    return [text.count("good") + 3.0 * (0 <= text.find("not") < text.rfind("good")) for text in texts]


@pytest.mark.parametrize("n_units", [0, 1, 2, 5])
def test_prefixes_come_after_the_empty_and_the_full_coalition(n_units):
    coalitions = prefix_coalitions(n_units)
    assert len(np.unique(coalitions, axis=0)) == n_units + 1
    assert not coalitions[0].any()
    assert coalitions[min(1, n_units)].all()
    assert all(not (~row[:-1] & row[1:]).any() for row in coalitions)


def test_prefix_values_are_differences_in_order_of_the_units():
    coalitions = prefix_coalitions(3)
    worths = {0: 0.5, 1: 2.0, 2: -1.0, 3: 4.0}
    scores = np.array([[worths[int(size)] for size in coalitions.sum(axis=1)]])
    assert prefix_values(coalitions, scores).tolist() == [[1.5, -3.0, 5.0]]


@pytest.mark.parametrize("engine", ["own", "library"])
@pytest.mark.parametrize("methods", [("prefix",), ("prefix", "shapley"), ("prefix", "owen", "lime")])
def test_an_interaction_is_paid_to_the_unit_that_completes_it(methods, engine):
    [credit] = explain(order_matters, ["x"], [" not so good"], methods=methods, engine=engine)
    np.testing.assert_allclose(credit.values["prefix"], [0, 0, 4], atol=1e-12)


def test_prefix_credit_alone_takes_one_evaluation_more_than_there_are_units():
    [credit] = explain(order_matters, ["x"], [" not so good, not so bad"], methods=("prefix",), units="words")
    assert credit.n_evaluations == 7


def test_a_budget_below_that_is_refused():
    with pytest.raises(AttributionError, match="6 units takes 7 evaluations, over the budget of 6"):
        explain(order_matters, ["x"], [" not so good, not so bad"], methods=("prefix",), units="words", budget=6)


def test_the_budget_holds_when_prefixes_and_a_design_share_it():
    [credit] = explain(
        order_matters, ["x"], [" a b c d e f g h i not j good"], methods=("prefix", "shapley"), budget=32
    )
    assert 24 < credit.n_evaluations <= 32
    assert credit.values["shapley"].sum() == pytest.approx(4)
