import numpy as np
import pytest

from inner_loop.credit_similarity import credit_similarity
from inner_loop.spec import ExplainedResponse


def response(**components):
    n = len(next(iter(components.values())))
    tokens = [f" w{i}" for i in range(n)]
    plain = {name: [float(value) for value in values] for name, values in components.items()}
    return ExplainedResponse(
        prompt="x", response="".join(tokens), score=1.0, base_value=0.0, tokens=tokens, components=plain,
        rewards=[0.0] * n,
    )  # fmt: skip


def test_the_correlation_is_that_of_what_units_are_paid():
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(2, 6))
    found = credit_similarity(["a", "b"], [response(a=[*a, 9.0], b=[*b, -9.0])])
    assert found.correlation[0][1] == found.correlation[1][0] == pytest.approx(np.corrcoef(a, b)[0, 1])
    assert (found.correlation[0][0], found.n_responses) == (1.0, 1)


def test_credit_of_single_tokens_is_added_up_over_the_units_of_the_other():
    spans = [0, 3.0, 0, 0, -1.0, 2.0, 0.5]
    tokens = [1.0, 2.0, -3.0, 1.0, 1.0, 2.0, 7.0]
    assert credit_similarity(["s", "t"], [response(s=spans, t=tokens)]).correlation[0][1] == pytest.approx(1.0)


def test_what_never_differs_correlates_with_nothing():
    found = credit_similarity(["a", "even", "sparse"], [response(a=[1, 2, 4, 8], even=[1] * 4, sparse=[0, 0, 0, 4])])
    assert found.correlation[0] == [1.0, None, None]
    assert found.warnings() == []


def test_the_mean_is_over_responses_that_explain_all_components():
    up = response(a=[1, 2, 3, 0], b=[1, 2, 3, 0])
    down = response(a=[1, 2, 3, 0], b=[3, 2, 1, 0])
    found = credit_similarity(["a", "b"], [up, down, up, response(a=[1, 2, 3, 0]), up])
    assert found.correlation[0][1] == pytest.approx(0.5)
    assert found.n_responses == 4
    assert credit_similarity(["a", "b"], [response(a=[1, 2, 3, 0])]) is None
    assert credit_similarity(["a"], []) is None


def test_the_share_of_tokens_is_one_for_even_credit_and_one_token_for_sparse():
    found = credit_similarity(
        ["even", "sparse", "two", "none"],
        [response(even=[-1] * 4, sparse=[0, 0, 0, 3], two=[1, -1, 0, 0], none=[0] * 4)],
    )
    assert found.token_share == pytest.approx([1.0, 0.25, 0.5, 0.0])


def test_a_component_that_pays_as_an_earlier_one_is_named_once():
    rng = np.random.default_rng(1)
    a = rng.normal(size=9)
    rows = {"shap": a, "lime": a + 0.01 * rng.normal(size=9), "owen": 2 * a, "other": rng.normal(size=9)}
    found = credit_similarity(list(rows), [response(**rows)])
    assert [pair[:2] for pair in found.pairs_alike()] == [("shap", "lime"), ("shap", "owen"), ("lime", "owen")]
    lime, owen = found.warnings()
    assert lime.startswith("lime pays as shap does (correlation 1.00 within a response)")
    assert owen.startswith("owen pays as shap does")
