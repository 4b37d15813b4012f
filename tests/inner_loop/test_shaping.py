import json

import numpy as np
import pytest

from inner_loop import ShapingFunction
from inner_loop.errors import ConservationError, MixingWeightsError, RewardModelError
from inner_loop.shaping import check_conservation
from inner_loop.spec import COMPONENTS, AttributionConfig

RESPONSES = [" a good film, not bad at all", "", " word", " naïve 映画 good!", " bad " * 30, "no leading space good"]
PROMPTS = ["the film was"] * len(RESPONSES)


def rough(texts):
    """A reward model with interactions: order and company of words matter."""
    return [np.sin(7 * len(text)) + text.count("good") * (1 + text.count("bad")) for text in texts]


def random_token_ends(response, rng):
    cuts = np.sort(rng.integers(0, len(response) + 1, size=rng.integers(0, 9)))
    return [*cuts.tolist(), len(response)]


@pytest.mark.parametrize("seed", range(10))
def test_every_component_and_mixture_conserves_the_score(seed):
    rng = np.random.default_rng(seed)
    weights = dict(zip(COMPONENTS, rng.dirichlet(np.ones(len(COMPONENTS))).tolist(), strict=True))
    scores = rng.normal(scale=3, size=len(RESPONSES)).tolist()
    ends = [random_token_ends(response, rng) for response in RESPONSES]
    shaped = ShapingFunction(weights, reward_model=rough)(PROMPTS, RESPONSES, scores, token_ends=ends)
    for response, score in zip(shaped, scores, strict=True):
        assert response.rewards.sum() == pytest.approx(score, abs=1e-6)
        for values in response.components.values():
            assert values.sum() == pytest.approx(score, abs=1e-6)


@pytest.mark.parametrize("gamma", [0.5, 0.9, 1.0])
def test_discounted_returns_are_those_of_the_sparse_reward(gamma):
    weights = {"shap": 0.4, "lime": 0.3, "sparse": 0.3}
    for response in ShapingFunction(weights, gamma=gamma, reward_model=rough)(PROMPTS, RESPONSES):
        discounts = gamma ** np.arange(len(response.rewards))
        assert (discounts * response.rewards).sum() == pytest.approx(discounts[-1] * response.score, abs=1e-6)


def test_credit_lands_on_the_token_that_completes_the_word(reward_model):
    # Policy tokens " go|od|, film|" + an end-of-sequence token of no width; the base value 0.25 goes to the last.
    shaping = ShapingFunction({"shap": 1.0}, reward_model=reward_model)
    [shaped] = shaping(["film"], [" good, film"], token_ends=[[3, 5, 11, 11]])
    np.testing.assert_allclose(shaped.rewards, [0, 0, 1 + 0.25, 0.25], atol=1e-6)


def test_what_the_score_holds_beyond_the_reward_model_goes_to_the_last_token(reward_model):
    shaping = ShapingFunction({"shap": 1.0}, reward_model=reward_model)
    [plain] = shaping(["x"], [" good film"], [1.25])
    [penalised] = shaping(["x"], [" good film"], [1.25 - 3.0])
    np.testing.assert_allclose(penalised.rewards - plain.rewards, [0, -3.0], atol=1e-9)


def test_lime_keeps_its_differences_between_units():
    [shaped] = ShapingFunction({"lime": 1.0}, reward_model=rough)(["x"], [" a good bad good day"])
    [shap_] = ShapingFunction({"shap": 1.0}, reward_model=rough)(["x"], [" a good bad good day"])
    assert not np.allclose(shaped.rewards, shap_.rewards)


def test_the_sparse_corner_needs_no_reward_model():
    def never(texts):
        raise AssertionError("components with weight 0 are not computed")

    shaping = ShapingFunction({"sparse": 1.0, "shap": 0.0}, reward_model=never)
    [shaped] = shaping(["x"], [" good film"], [2.5], token_ends=[[5, 10, 10]])
    assert shaped.rewards.tolist() == [0.0, 0.0, 2.5]
    assert shaped.n_evaluations == 0


def test_a_function_survives_json(tmp_path):
    weights, attribution = {"shap": 0.25, "sparse": 0.75}, AttributionConfig(budget=32, masking="mask")
    ShapingFunction(weights, attribution, 0.9, "embedded").save(tmp_path / "shaping.json")
    assert ShapingFunction.load(tmp_path / "shaping.json") == ShapingFunction(weights, attribution, 0.9, "embedded")
    replaced = ShapingFunction.load(tmp_path / "shaping.json", reward_model=rough)
    assert replaced.reward_model is rough


def test_an_object_cannot_be_saved_by_name(tmp_path):
    with pytest.raises(TypeError, match="Only a reward model given by name"):
        ShapingFunction({"sparse": 1.0}, reward_model=rough).save(tmp_path / "shaping.json")


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"format": "other"}'])
def test_other_files_are_refused(tmp_path, content):
    (tmp_path / "x.json").write_text(content)
    with pytest.raises(ValueError, match="not a saved shaping function"):
        ShapingFunction.load(tmp_path / "x.json")


def test_a_damaged_weight_is_named(tmp_path):
    path = tmp_path / "shaping.json"
    ShapingFunction({"sparse": 1.0}).save(path)
    path.write_text(json.dumps(json.loads(path.read_text()) | {"weights": {"sparse": 0.5}}))
    with pytest.raises(MixingWeightsError, match=r"sum=0.5"):
        ShapingFunction.load(path)


@pytest.mark.parametrize(
    "weights", [{}, {"shap": 0.6, "lime": 0.6}, {"shap": 1.5, "lime": -0.5}, {"shap": float("nan")}]
)
def test_weights_must_be_on_the_simplex(weights):
    with pytest.raises(MixingWeightsError, match="must be >= 0 and sum to 1"):
        ShapingFunction(weights)


def test_an_unknown_component_is_named():
    with pytest.raises(MixingWeightsError, match="'shapp'; the components are shap, lime, sparse"):
        ShapingFunction({"shapp": 1.0})


def test_lists_of_different_lengths_are_refused():
    with pytest.raises(ValueError, match="'responses': 2"):
        ShapingFunction({"sparse": 1.0})(["x"], ["a", "b"])


@pytest.mark.parametrize("ends", [[], [2, 1], [-1], [4]])
def test_impossible_tokens_are_refused(ends):
    with pytest.raises(ValueError, match=r"[Rr]esponse 0"):
        ShapingFunction({"sparse": 1.0})(["x"], ["abc"], [1.0], token_ends=[ends])


def test_a_score_that_is_no_number_is_refused():
    with pytest.raises(RewardModelError, match="nan"):
        ShapingFunction({"sparse": 1.0}, reward_model=rough)(["x"], ["a"], [float("nan")])


def test_lost_credit_is_noticed():
    with pytest.raises(ConservationError, match=r"sum to 0.9, the sequence reward is 1"):
        check_conservation(np.array([0.4, 0.5]), 1.0)
