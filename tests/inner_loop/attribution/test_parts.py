import numpy as np
import pytest

from inner_loop.attribution import explain
from inner_loop.attribution.explain import explain_responses
from inner_loop.errors import AttributionError, TaskError
from inner_loop.models.transformers_reward_model import TransformersRewardModel
from inner_loop.shaping import ShapingFunction
from inner_loop.spec import AttributionConfig, ScoringConfig
from tests.inner_loop.tiny_classifiers import tiny_bert, word_tokenizer

PROMPT = "the film is"
RESPONSE = " a very good story of two old friends and it never ends"
"""Twelve words; with prompt and frame, 17 tokens."""

METHODS = ["shapley", "lime", "owen", "leave_one_out", "attention", "gradient"]


def reading(long_responses, max_tokens=12):
    """A reward model of one token per word that reads `max_tokens` of them."""
    tokenizer = word_tokenizer(model_max_length=max_tokens)
    return TransformersRewardModel(tiny_bert(tokenizer), tokenizer, ScoringConfig(long_responses=long_responses))


def credit_of(reward_model, response=RESPONSE, prompt=PROMPT, **settings):
    config = AttributionConfig(**({"units": "words", "budget": 32} | settings))
    [credit] = explain_responses(reward_model, [prompt], [response], methods=METHODS, config=config)
    return credit


@pytest.mark.parametrize(
    ("long_responses", "read", "unread"),
    [
        ("tail", RESPONSE[len(" a very") :], " a very"),
        ("head", RESPONSE[: -len(" friends and it never ends")], " friends and it never ends"),
    ],
)
@pytest.mark.parametrize("units", ["words", "tokens", "spans", "sentences"])
def test_text_that_is_not_read_has_no_credit_and_is_marked(long_responses, read, unread, units):
    reward_model = reading(long_responses)
    credit = credit_of(reward_model, units=units)
    assert [RESPONSE[slice(*part)] for part in credit.unread] == [unread]
    assert "".join(credit.units) == RESPONSE
    is_unread = np.array([offsets in credit.unread for offsets in credit.offsets])
    for method, values in credit.values.items():
        assert not values[is_unread].any(), method
        assert len(values) == len(credit.units)
    # What is read is credited as if nothing else were there.
    alone = credit_of(reading("error", 64), read, PROMPT if long_responses == "head" else "", units=units)
    assert credit.full_value == pytest.approx(alone.full_value, abs=1e-5)
    np.testing.assert_allclose(credit.values["shapley"][~is_unread], alone.values["shapley"], atol=1e-5)


def test_the_head_keeps_half_for_the_response_however_long_the_prompt_is():
    credit = credit_of(reading("head"), prompt=" ".join(["film"] * 30))
    assert credit.unread == [(len(" a very good story of two"), len(RESPONSE))]


def test_an_error_says_what_can_be_chosen():
    with pytest.raises(AttributionError, match=r"have 17 tokens, and the reward model reads 12: choose task.long_resp"):
        credit_of(reading("error"))
    assert credit_of(reading("error", 17)).unread == []


def windows_of(reward_model):
    [parts] = reward_model.windows([PROMPT], [RESPONSE])
    return [RESPONSE[slice(*part)] for part in parts]


def test_windows_read_everything_and_their_mean_is_the_score():
    reward_model = reading("windows", 18)
    assert windows_of(reward_model) == [RESPONSE]
    reward_model = reading("windows", 16)
    parts = windows_of(reward_model)
    assert parts == [" a very good story of two", " old friends and it never ends"]
    scores = reading("error", 64).score_responses([PROMPT] * 2, parts)
    assert reward_model.score_responses([PROMPT], [RESPONSE]) == pytest.approx([np.mean(scores)], abs=1e-5)
    assert reward_model.count_unread([PROMPT], [RESPONSE]) == [0]


def test_the_credit_of_windows_is_that_of_each_and_sums_to_the_mean():
    reward_model = reading("windows", 16)
    credit = credit_of(reward_model)
    pieces = [credit_of(reading("error", 64), part) for part in windows_of(reward_model)]
    assert "".join(credit.units) == RESPONSE
    assert credit.unread == []
    assert credit.n_evaluations == sum(piece.n_evaluations for piece in pieces)
    for method in set(METHODS) - {"attention"}:
        expected = np.concatenate([piece.values[method] for piece in pieces]) / 2
        np.testing.assert_allclose(credit.values[method], expected, atol=1e-5, err_msg=method)
    assert credit.values["shapley"].sum() == pytest.approx(credit.full_value - credit.base_value, abs=1e-5)
    assert credit.values["attention"].sum() == pytest.approx(credit.full_value, abs=1e-5)
    shares = credit.pieces["attention"].values
    np.testing.assert_allclose(shares, np.concatenate([p.pieces["attention"].values for p in pieces]) / 2, atol=1e-6)


def test_a_prompt_that_leaves_no_room_for_a_window_is_refused():
    with pytest.raises(TaskError, match="a prompt leaves no room for its response; shorten the prompts"):
        reading("windows", 14).windows([" ".join(["film"] * 20)], [RESPONSE])


@pytest.mark.parametrize(
    ("long_responses", "is_unread"),
    [("tail", [True] * 2 + [False] * 10), ("head", [False] * 7 + [True] * 5), ("windows", [False] * 12)],
)
def test_rewards_of_long_responses_are_conserved_and_say_what_was_not_read(long_responses, is_unread):
    weights = {"shap": 0.4, "attention": 0.2, "lime": 0.2, "sparse": 0.2}
    shaping = ShapingFunction(weights, reward_model=reading(long_responses))
    ends = [position for position, character in enumerate(RESPONSE) if character == " "][1:]
    [shaped] = shaping([PROMPT], [RESPONSE], token_ends=[[*ends, len(RESPONSE)]])
    assert shaped.rewards.sum() == pytest.approx(shaped.score, rel=1e-5)
    assert shaped.is_unread.tolist() == is_unread
    # The last token has what no unit earned; LIME's gap is spread over the units that were read.
    for name in ("shap", "lime"):
        assert not shaped.components[name][:-1][is_unread[:-1]].any(), name


def test_a_callable_reads_everything():
    [credit] = explain(lambda texts: [float(len(text)) for text in texts], [PROMPT], [RESPONSE * 9], units="sentences")
    assert credit.unread == []
