import numpy as np
import pytest

from inner_loop.attribution import explain
from inner_loop.attribution.explain import masked_texts
from inner_loop.attribution.shapley import shapley_functional
from inner_loop.attribution.surrogate import all_coalitions
from inner_loop.reward_models import load_reward_model
from inner_loop.spec import AttributionConfig
from inner_loop.units import split_units


def test_an_additive_reward_model_is_explained_exactly(reward_model):
    [credit] = explain(reward_model, ["a film"], [" that is good and bad"], methods=("shap", "lime"))
    for values in credit.values.values():
        np.testing.assert_allclose(values, [0, 0, 1, 0, -2], atol=1e-6)
    assert credit.base_value == 0.25
    assert credit.full_value == pytest.approx(-0.75)


def test_the_prompt_is_never_masked(reward_model):
    explain(reward_model, ["keep all of this"], [" good bad film"])
    assert reward_model.texts
    assert all(text.startswith("keep all of this") for text in reward_model.texts)


def test_each_distinct_text_is_scored_once_and_within_the_budget(reward_model):
    responses = [" good good good good bad bad film film once more", " good bad"]
    credits_ = explain(
        reward_model, ["p", "p"], responses, methods=("shap", "lime"), config=AttributionConfig(budget=32)
    )
    assert len(set(reward_model.texts)) == len(reward_model.texts)
    assert credits_[0].n_evaluations <= 32
    assert credits_[1].n_evaluations == 4


@pytest.mark.parametrize("response", ["", " one"])
def test_responses_with_little_to_divide(reward_model, response):
    [credit] = explain(reward_model, ["a good film"], [response], methods=("shap", "lime"))
    assert credit.full_value == credit.base_value == 1.25
    assert len(credit.values["shap"]) == len(response.split())


def test_results_do_not_depend_on_the_company(reward_model):
    responses = [" bad film", "", " good and bad and good film", " x" * 200]
    together = explain(reward_model, ["p"] * 4, responses)
    for response, credit in zip(responses, together, strict=True):
        [alone] = explain(reward_model, ["p"], [response])
        np.testing.assert_array_equal(credit.values["shap"], alone.values["shap"])


@pytest.mark.parametrize(("masking", "expected"), [("remove", "p one three"), ("mask", "p one [MASK] three")])
def test_masking(masking, expected):
    response = " one two three"
    [text] = masked_texts("p", response, split_units(response, 12), np.array([[True, False, True]]), masking, "[MASK]")
    assert text == expected


def test_a_real_reward_model_is_explained_as_by_brute_force():
    # Six units and a budget of 64: every coalition is known, so the answer is exact up to float32 scores.
    model, prompt, response = load_reward_model("embedded"), "the plot is", " thin but the acting wonderful"
    [credit] = explain(model, [prompt], [response], config=AttributionConfig(budget=64))
    words = response.split()
    texts = [" ".join([prompt, *np.array(words)[row]]) for row in all_coalitions(len(words))]
    exact = shapley_functional(len(words)) @ np.array(model.score(texts))
    np.testing.assert_allclose(credit.values["shap"], exact, atol=1e-3)
