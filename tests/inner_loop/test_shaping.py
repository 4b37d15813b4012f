import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inner_loop import ShapingFunction
from inner_loop.components import COMPONENTS, TokenFacts, load_component
from inner_loop.errors import ConservationError, MixingWeightsError, RewardModelError
from inner_loop.models.reward_models import load_reward_model
from inner_loop.shaping import check_conservation
from inner_loop.spec import AttributionConfig

RESPONSES = [" a good film, not bad at all", "", " word", " naïve 映画 good!", " bad " * 30, "no leading space good"]
PROMPTS = ["the film was"] * len(RESPONSES)


def rough(texts):
    """A reward model with interactions: order and company of words matter."""
    return [np.sin(7 * len(text)) + text.count("good") * (1 + text.count("bad")) for text in texts]


def random_token_ends(response, rng):
    cuts = np.sort(rng.integers(0, len(response) + 1, size=rng.integers(0, 9)))
    return [*cuts.tolist(), len(response)]


NEEDS_A_TRANSFORMERS_MODEL = ("attention", "gradient")
NEEDS_A_NAMED_MODEL = ("implicit", "token_model")
OF_ANY_REWARD = tuple(name for name in COMPONENTS if name not in NEEDS_A_TRANSFORMERS_MODEL + NEEDS_A_NAMED_MODEL)
OF_THE_EMBEDDED = tuple(name for name in COMPONENTS if name not in NEEDS_A_NAMED_MODEL)
BASE_VALUES = ("last", "uniform", "drop")


def facts_of(token_ends):
    """Facts of a policy that grows ever more certain."""
    numbers = [1.0 / np.arange(1, len(ends) + 1) for ends in token_ends]
    return [TokenFacts(-entropy, -entropy, entropy) for entropy in numbers]


def random_weights(names, rng):
    return dict(zip(names, rng.dirichlet(np.ones(len(names))).tolist(), strict=True))


@pytest.mark.parametrize("base_value", BASE_VALUES)
@pytest.mark.parametrize("seed", range(5))
def test_every_component_and_mixture_conserves_the_score(seed, base_value):
    rng = np.random.default_rng(seed)
    scores = rng.normal(scale=3, size=len(RESPONSES)).tolist()
    ends = [random_token_ends(response, rng) for response in RESPONSES]
    attribution = AttributionConfig(base_value=base_value, budget=48)
    shaping = ShapingFunction(random_weights(OF_ANY_REWARD, rng), attribution, reward_model=rough)
    shaped = shaping(PROMPTS, RESPONSES, scores, token_ends=ends, token_facts=facts_of(ends))
    for response, score in zip(shaped, scores, strict=True):
        total = score - response.base_value if base_value == "drop" else score
        assert response.rewards.sum() == pytest.approx(total, abs=1e-6)
        assert set(response.components) == set(OF_ANY_REWARD)
        for values in response.components.values():
            assert values.sum() == pytest.approx(total, abs=1e-6)


@pytest.mark.parametrize("gamma", [0.5, 0.9, 1.0])
@pytest.mark.parametrize("seed", range(5))
def test_discounted_returns_are_those_of_the_sparse_reward(seed, gamma):
    rng = np.random.default_rng(seed)
    words = ["good", "bad", "film", "naïve", "映画", ",", "\n", "[MASK]"]
    responses = [" ".join(rng.choice(words, size=size)) for size in rng.integers(0, 30, size=4)]
    ends = [random_token_ends(response, rng) for response in responses]
    shaping = ShapingFunction(
        random_weights(OF_THE_EMBEDDED, rng), AttributionConfig(budget=48), gamma=gamma, reward_model="embedded"
    )
    for response in shaping(["the film was"] * 4, responses, token_ends=ends, token_facts=facts_of(ends)):
        discounts = gamma ** np.arange(len(response.rewards))
        expected = discounts[-1] * response.score
        assert (discounts * response.rewards).sum() == pytest.approx(expected, abs=1e-6)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(data=st.data())
def test_conservation_holds_for_any_text_tokens_weights_score_and_discount(data):
    response = data.draw(st.text(max_size=40))
    cuts = data.draw(st.lists(st.integers(0, len(response)), max_size=8))
    shares = data.draw(st.lists(st.floats(0.01, 1), min_size=len(OF_ANY_REWARD), max_size=len(OF_ANY_REWARD)))
    weights = dict(zip(OF_ANY_REWARD, (np.array(shares) / sum(shares)).tolist(), strict=True))
    score, gamma = data.draw(st.floats(-1e3, 1e3)), data.draw(st.floats(0.3, 1))
    attribution = AttributionConfig(
        budget=24,
        max_units=8,
        token_limit=8,
        units=data.draw(st.sampled_from(["auto", "spans"])),
        masking=data.draw(st.sampled_from(["remove", "mask"])),
        base_value=data.draw(st.sampled_from(BASE_VALUES)),
    )
    shaping = ShapingFunction(weights, attribution, gamma=gamma, reward_model=rough)
    ends = [[*sorted(cuts), len(response)]]
    [shaped] = shaping(["the film"], [response], [score], token_ends=ends, token_facts=facts_of(ends))
    total = score - shaped.base_value if attribution.base_value == "drop" else score
    tolerance = 1e-6 * max(1, abs(total))
    assert all(values.sum() == pytest.approx(total, abs=tolerance) for values in shaped.components.values())
    discounts = gamma ** np.arange(len(shaped.rewards))
    assert (discounts * shaped.rewards).sum() == pytest.approx(discounts[-1] * total, abs=tolerance)


def test_scores_are_the_reward_models_own_if_none_are_given():
    model = load_reward_model("embedded")
    for weights in ({"sparse": 1.0}, {"shap": 0.5, "uniform": 0.5}, {"attention": 1.0}):
        [shaped] = ShapingFunction(weights, reward_model=model)(["the film"], [" was really good fun"])
        assert shaped.score == pytest.approx(model.score(["the film was really good fun"])[0], abs=1e-5)


def test_credit_lands_on_the_token_that_completes_the_word(reward_model):
    # Policy tokens " go|od|, film|" + an end-of-sequence token of no width; the base value 0.25 goes to the last.
    shaping = ShapingFunction({"shap": 1.0}, reward_model=reward_model)
    [shaped] = shaping(["film"], [" good, film"], token_ends=[[3, 5, 11, 11]])
    np.testing.assert_allclose(shaped.rewards, [0, 1, 0.25, 0.25], atol=1e-6)


def test_what_the_score_holds_beyond_the_reward_model_goes_to_the_last_token(reward_model):
    shaping = ShapingFunction({"shap": 1.0}, reward_model=reward_model)
    [plain] = shaping(["x"], [" good film"], [1.25])
    [penalised] = shaping(["x"], [" good film"], [1.25 - 3.0])
    np.testing.assert_allclose(penalised.rewards - plain.rewards, [0, -3.0], atol=1e-9)


@pytest.mark.parametrize(("base_value", "expected"), [
    ("last", [0, 1, 0.25]), ("uniform", [0.25 / 3, 1 + 0.25 / 3, 0.25 / 3]), ("drop", [0, 1, 0]),
])  # fmt: skip
def test_the_base_value_goes_where_the_configuration_says(reward_model, base_value, expected):
    shaping = ShapingFunction({"shap": 1.0}, AttributionConfig(base_value=base_value), reward_model=reward_model)
    [shaped] = shaping(["film"], [" so good then"])
    np.testing.assert_allclose(shaped.rewards, expected, atol=1e-6)


def test_a_dropped_base_value_is_dropped_from_every_component(reward_model):
    shaping = ShapingFunction({"sparse": 1.0}, AttributionConfig(base_value="drop"), reward_model=reward_model)
    [shaped] = shaping(["film"], [" so good then"], [1.25], components=["uniform"])
    assert shaped.rewards.tolist() == [0, 0, 1.0]
    np.testing.assert_allclose(shaped.components["uniform"], [1 / 3] * 3)


def test_uniform_credit_pays_every_token_the_same():
    [shaped] = ShapingFunction({"uniform": 1.0}, reward_model=rough)(["x"], ["abc"], [3.0], token_ends=[[1, 2, 3, 3]])
    assert shaped.rewards.tolist() == [0.75] * 4


def test_attention_pays_each_token_a_positive_share_of_the_score():
    [shaped] = ShapingFunction({"attention": 1.0})(["the film"], [" was really good fun"], token_ends=[[4, 11, 16, 20]])
    assert shaped.score > 0
    assert (shaped.rewards > 0).all()


def test_sharper_credit_still_conserves_the_score():
    texts = ["x", "y"], [" a good bad good day", " bad"]
    plain = ShapingFunction({"shap": 1.0}, reward_model=rough)(*texts)
    sharp = ShapingFunction({"shap": 1.0}, AttributionConfig(sharpness=2.0), reward_model=rough)(*texts)
    for one, other in zip(plain, sharp, strict=True):
        assert one.rewards.sum() == pytest.approx(other.rewards.sum()) == pytest.approx(one.score)
    assert np.ptp(sharp[0].rewards[:-1]) > np.ptp(plain[0].rewards[:-1])


@pytest.mark.parametrize("gamma", [1.0, 0.9])
def test_weights_can_move_to_the_sparse_reward(reward_model, gamma):
    shaping = ShapingFunction({"shap": 0.6, "uniform": 0.2, "sparse": 0.2}, gamma=gamma, reward_model=reward_model)
    moved = ShapingFunction({"shap": 0.3, "uniform": 0.1, "sparse": 0.6}, gamma=gamma, reward_model=reward_model)
    texts = ["film"], [" good film, so bad"]
    [half], [expected] = shaping(*texts, to_sparse=0.5), moved(*texts)
    np.testing.assert_allclose(half.rewards, expected.rewards)
    [none], [plain] = shaping(*texts, to_sparse=0.0), shaping(*texts)
    np.testing.assert_array_equal(none.rewards, plain.rewards)
    [all_of_it] = shaping(*texts, to_sparse=1.0)
    assert all_of_it.rewards[:-1].tolist() == [0.0] * (len(all_of_it.rewards) - 1)


def test_a_response_that_was_cut_has_its_terminal_reward_on_the_last_token_sampled(reward_model):
    # No end-of-sequence token: the last token is a word, and carries its own credit and the base value.
    shaping = ShapingFunction({"shap": 0.5, "sparse": 0.5}, reward_model=reward_model)
    [shaped] = shaping(["film"], [" good day"], token_ends=[[5, 9]])
    np.testing.assert_allclose(shaped.rewards, [0.5, 0.125 + 0.625], atol=1e-6)


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


@pytest.mark.parametrize(
    "weights", [{}, {"shap": 0.6, "lime": 0.6}, {"shap": 1.5, "lime": -0.5}, {"shap": float("nan")}]
)
def test_weights_must_be_on_the_simplex(weights):
    with pytest.raises(MixingWeightsError, match="must be >= 0 and sum to 1"):
        ShapingFunction(weights)


def test_an_unknown_component_is_named():
    with pytest.raises(MixingWeightsError, match="'shapp', did you mean 'shap'"):
        ShapingFunction({"shapp": 1.0})
    with pytest.raises(MixingWeightsError, match="'limes', did you mean 'lime'"):
        ShapingFunction({"sparse": 1.0}, reward_model=rough)(["x"], ["y"], components=["limes"])


def test_lists_of_different_lengths_are_refused():
    with pytest.raises(ValueError, match="'responses': 2"):
        ShapingFunction({"sparse": 1.0})(["x"], ["a", "b"])


@pytest.mark.parametrize("ends", [[], [2, 1], [-1], [4], [2], [1, 2]])
def test_impossible_tokens_are_refused(ends):
    with pytest.raises(ValueError, match=r"[Rr]esponse 1"):
        ShapingFunction({"sparse": 1.0})(["x", "x"], ["ab", "abc"], [1.0, 1.0], token_ends=[[1, 2], ends])


@pytest.mark.parametrize("response", ["", "  "])
def test_a_response_without_units_has_one_reward(reward_model, response):
    [shaped] = ShapingFunction({"shap": 1.0}, reward_model=reward_model)(["good film"], [response])
    assert (shaped.token_ends, shaped.rewards.tolist()) == ([len(response)], [1.25])


def test_a_score_that_is_no_number_is_refused():
    with pytest.raises(RewardModelError, match="nan"):
        ShapingFunction({"sparse": 1.0}, reward_model=rough)(["x"], ["a"], [float("nan")])


def test_lost_credit_is_noticed():
    with pytest.raises(ConservationError, match=r"shap credits of response 3 sum to 0.9 and not to 1"):
        check_conservation(np.array([0.4, 0.5]), 1.0, "shap credits of response 3")


def test_a_component_of_another_package_joins_by_one_line(monkeypatch):
    # An entry point adds such a line to the table.
    monkeypatch.setitem(COMPONENTS, "halves", "tests.inner_loop.test_shaping:Halves")
    [shaped] = ShapingFunction({"halves": 1.0}, reward_model=rough)(["x"], ["a b c"], [2.0])
    assert shaped.rewards.tolist() == [1.0, 0.0, 1.0]


def test_a_component_that_does_not_conserve_is_stopped(monkeypatch):
    monkeypatch.setitem(COMPONENTS, "greedy", "tests.inner_loop.test_shaping:Greedy")
    with pytest.raises(ConservationError, match="greedy credits of response 0 sum to 6 and not to 2"):
        ShapingFunction({"greedy": 1.0}, reward_model=rough)(["x"], ["a b c"], [2.0])


class Halves:
    method = None

    def token_credit(self, spread):
        tokens = np.zeros(len(spread.token_ends))
        tokens[0] = tokens[-1] = spread.total / 2
        return tokens


class Greedy:
    method = None

    def token_credit(self, spread):
        return np.full(len(spread.token_ends), spread.total)


def test_every_registered_component_says_what_it_needs():
    assert {name: load_component(name).method for name in COMPONENTS} == {
        "shap": "shapley",
        "lime": "lime",
        "owen": "owen",
        "prefix": "prefix",
        "leave_one_out": "leave_one_out",
        "solo": "solo",
        "gradient": "gradient",
        "attention": "attention",
        "implicit": "implicit",
        "token_model": "token_model",
        "entropy": None,
        "uniform": None,
        "sparse": None,
    }


def test_the_tokens_that_complete_a_unit_are_named():
    count = lambda texts: [float(text.count("good")) for text in texts]  # noqa: E731
    shaping = ShapingFunction({"shap": 1.0}, AttributionConfig(units="words"), reward_model=count)
    # Two words of two tokens each, and the end of the sequence.
    [shaped] = shaping(["It is"], [" very good"], [1.0], token_ends=[[3, 5, 7, 10, 10]])
    assert shaped.unit_tokens == [1, 3]
    [sparse] = ShapingFunction({"sparse": 1.0}, reward_model=count)(["It is"], [" a b"], [1.0], token_ends=[[2, 4]])
    assert sparse.unit_tokens == []
