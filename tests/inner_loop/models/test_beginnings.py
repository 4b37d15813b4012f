import numpy as np
import pytest
import torch
from tokenizers import processors

from inner_loop.attribution import explain
from inner_loop.attribution.explain import explain_responses
from inner_loop.errors import AttributionError
from inner_loop.models.beginnings import scores_beginnings, whole_sequences
from inner_loop.models.transformers_reward_model import TransformersRewardModel
from inner_loop.spec import AttributionConfig
from tests.inner_loop.tiny_classifiers import (
    bert_reward_model,
    byte_tokenizer,
    gpt2_reward_model,
    llama_reward_model,
    separately,
    spy_on,
    tiny_llama,
)

CAUSAL = [llama_reward_model, gpt2_reward_model]
PROMPTS, RESPONSES = ["the film", "the", ""], [" is good and good", " old film", " never ends, my friend"]


def test_a_sequence_belongs_to_the_longest_that_begins_with_it():
    rng = np.random.default_rng(0)
    sequences = [bytes(rng.integers(97, 99, size=rng.integers(0, 6)).tolist()) for _ in range(60)]
    whole = whole_sequences(sequences)
    for index, sequence in enumerate(sequences):
        longest = sequences[whole[index]]
        assert longest.startswith(sequence)
        if sequence:
            assert not any(other.startswith(longest) and other != longest for other in sequences)
            assert whole[whole[index]] == whole[index]
        else:
            assert whole[index] == index


@pytest.mark.parametrize("make", CAUSAL)
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_beginnings_are_scored_as_they_are_alone_and_take_no_pass(make, dtype):
    rng = np.random.default_rng(0)
    rows = [rng.integers(250, size=length).astype(np.int32) for length in (9, 3, 14)]
    rows[2][5] = ~rows[2][5]  # hidden from attention
    sequences = [row[:end] for row in rows for end in range(1, len(row) + 1) if row[end - 1] >= 0]
    expected = separately(make()).score_sequences(sequences, dtype)
    reward_model = make()
    assert reward_model.scores_beginnings
    seen = spy_on(reward_model) if dtype == "float32" else []
    scores = reward_model.score_sequences(sequences, dtype)
    np.testing.assert_allclose(scores, expected, atol=1e-5 if dtype == "float32" else 0.1)
    assert np.ptp(scores) > 1
    assert len(seen) == (3 if dtype == "float32" else 0)


@pytest.mark.parametrize("make", CAUSAL)
@pytest.mark.parametrize("masking", ["remove", "attention"])
def test_prefix_credit_of_a_causal_model_takes_one_evaluation(make, masking):
    settings = {"methods": ("prefix",), "units": "tokens", "masking": masking, "budget": 64, "dtype": "float32"}
    slow = explain(separately(make()), PROMPTS, RESPONSES, **settings)
    reward_model = make()
    assert reward_model.scores_beginnings
    seen = spy_on(reward_model)
    quick = explain(reward_model, PROMPTS, RESPONSES, **settings | {"budget": 2})
    for own, other in zip(quick, slow, strict=True):
        assert len(own.values["prefix"]) > 2
        np.testing.assert_allclose(own.values["prefix"], other.values["prefix"], atol=1e-5)
        assert other.n_evaluations == len(own.values["prefix"]) + 1
    # Where there is no prompt, nothing at all is scored as a lone token, which the response does not begin with.
    assert [credit.n_evaluations for credit in quick] == [1, 1, 2]
    assert len(seen) == 4


def test_free_prefixes_leave_the_budget_to_the_design():
    response = " good film and good never"
    settings = {"methods": ("prefix", "shapley"), "units": "tokens", "budget": 32, "dtype": "float32"}
    [quick] = explain(llama_reward_model(), ["the film"], [response], **settings)
    [alone] = explain(llama_reward_model(), ["the film"], [response], **settings | {"methods": ("shapley",)})
    [slow] = explain(separately(llama_reward_model()), ["the film"], [response], **settings)
    np.testing.assert_allclose(quick.values["prefix"], slow.values["prefix"], atol=1e-5)
    assert alone.n_evaluations <= quick.n_evaluations <= 32
    assert np.abs(quick.values["shapley"] - slow.values["shapley"]).max() > 1e-3  # more coalitions than beside prefixes


@pytest.mark.parametrize("masking", ["remove", "mask"])
def test_behind_a_closing_token_or_with_masks_every_prefix_is_evaluated(masking):
    def closed():
        tokenizer = byte_tokenizer()
        if masking == "remove":
            tokenizer.backend_tokenizer.post_processor = processors.TemplateProcessing(
                "$A <|endoftext|>", special_tokens=[("<|endoftext|>", tokenizer.eos_token_id)]
            )
        return TransformersRewardModel(tiny_llama(tokenizer), tokenizer)

    settings = {"methods": ("prefix",), "units": "tokens", "masking": masking, "dtype": "float32"}
    [credit] = explain(closed(), ["the film"], [" is good"], **settings)
    [slow] = explain(separately(closed()), ["the film"], [" is good"], **settings)
    np.testing.assert_allclose(credit.values["prefix"], slow.values["prefix"], atol=1e-5)
    assert credit.n_evaluations == len(credit.values["prefix"]) + 1
    with pytest.raises(AttributionError, match="over the budget of 2"):
        explain(closed(), ["the film"], [" is good"], **settings | {"budget": 2})


def test_a_model_that_looks_ahead_is_asked_for_every_prefix():
    assert not bert_reward_model().scores_beginnings
    tokenizer = byte_tokenizer()
    both_ways = tiny_llama(tokenizer)
    for layer in both_ways.model.layers:
        layer.self_attn.is_causal = False
    assert not scores_beginnings(both_ways)


def test_a_model_whose_positions_grow_with_the_sequence_is_asked_for_every_prefix():
    model = tiny_llama(byte_tokenizer())
    assert scores_beginnings(model)
    model.config.rope_parameters = model.config.rope_parameters | {"rope_type": "dynamic"}
    assert not scores_beginnings(model)


class AverageOfPositions(torch.nn.Linear):
    """A head that sees all positions: no position has the score of what ends there."""

    def forward(self, states):
        logits = super().forward(states)
        return logits.mean(dim=1, keepdim=True).expand_as(logits)


def test_a_head_that_averages_fails_the_probe():
    model = tiny_llama(byte_tokenizer())
    average = AverageOfPositions(16, 1, bias=False)
    average.weight = model.score.weight
    model.score = average
    assert not scores_beginnings(model)


def test_a_batch_that_is_read_elsewhere_is_not_believed():
    """As if the score were read at the first full stop: a probe without one cannot know."""
    tokenizer = byte_tokenizer()
    stop = tokenizer(".")["input_ids"][0]

    class StopsAtADot(type(tiny_llama(tokenizer))):
        def forward(self, input_ids, **kwargs):
            logits = []
            handle = self.score.register_forward_hook(lambda *args: logits.append(args[2]))
            output = super().forward(input_ids, **kwargs)
            handle.remove()
            for row, ids in enumerate(input_ids.tolist()):
                if stop in ids:
                    output.logits[row] = logits[0][row, ids.index(stop)]
            return output

    model = StopsAtADot(tiny_llama(tokenizer).config).eval()
    reward_model = TransformersRewardModel(model, tokenizer)
    assert reward_model.scores_beginnings
    config = AttributionConfig(units="tokens", budget=32, dtype="float32")
    for response in (" good film is", " good. film is"):
        quick, slow = (
            explain_responses(given, ["the"], [response], methods=("prefix",), config=config)[0]
            for given in (reward_model, separately(TransformersRewardModel(model, tokenizer)))
        )
        np.testing.assert_allclose(quick.values["prefix"], slow.values["prefix"], atol=1e-5)
        assert (np.abs(slow.values["prefix"][2:]) < 1e-5).all() == ("." in response)
