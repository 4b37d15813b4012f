from types import SimpleNamespace

import numpy as np
import pytest
import torch
from transformers import ModernBertConfig, ModernBertForSequenceClassification, T5Config, T5ForSequenceClassification

from inner_loop.attribution import attention
from inner_loop.attribution.attention import attention_shares
from inner_loop.errors import AttributionError
from inner_loop.models.callable_reward_model import CallableRewardModel
from inner_loop.models.transformers_reward_model import TransformersRewardModel
from tests.inner_loop.tiny_classifiers import (
    REWARD_MODELS,
    bert_reward_model,
    gpt2_reward_model,
    llama_reward_model,
    word_tokenizer,
)
from tests.inner_loop.tiny_models import TINY

PROMPTS = ["the film", "a", "the quiet film of two friends"]
RESPONSES = [" is good", " very good story . it never ends", "."]


def last_layer(reward_model, ids):
    """`L x L` weights of one sequence alone, averaged over heads."""
    reward_model.model.set_attn_implementation("eager")
    with torch.no_grad():
        output = reward_model.model(input_ids=torch.from_numpy(ids[None]).long(), output_attentions=True)
    return output.attentions[-1][0].mean(dim=0).numpy()


@pytest.mark.parametrize(
    ("make", "position"), [(bert_reward_model, 0), (llama_reward_model, -1), (gpt2_reward_model, -1)]
)
def test_shares_are_the_attention_of_the_position_that_the_head_reads(make, position):
    reward_model = make()
    encoded = reward_model.encode(PROMPTS, RESPONSES)
    shares = attention_shares(reward_model, encoded)
    for response, found in zip(encoded, shares, strict=True):
        weights = last_layer(reward_model, response.ids)[position] * response.is_response
        np.testing.assert_allclose(found, weights / weights.sum(), atol=1e-5)
        assert found.sum() == pytest.approx(1.0, abs=1e-12)


@pytest.mark.parametrize("make", REWARD_MODELS)
def test_the_models_own_attention_is_back_afterwards(make):
    reward_model = make()
    reward_model.model.set_attn_implementation("sdpa")  # as on a GPU
    own = reward_model.model.config._attn_implementation
    before = reward_model.score(["the film is good"])
    attention_shares(reward_model, reward_model.encode(PROMPTS, RESPONSES))
    assert reward_model.model.config._attn_implementation == own == "sdpa"
    assert reward_model.score(["the film is good"]) == before


def test_small_batches_give_the_same_shares(monkeypatch):
    reward_model = bert_reward_model()
    encoded = reward_model.encode(PROMPTS, RESPONSES)
    together = attention_shares(reward_model, encoded)
    monkeypatch.setattr(attention, "WEIGHTS_PER_BATCH", 1)
    for one, other in zip(together, attention_shares(reward_model, encoded), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-5)


def test_a_response_without_tokens_has_no_shares():
    reward_model = bert_reward_model()
    shares = attention_shares(reward_model, reward_model.encode(["the film", "a"], ["", " film"]))
    assert shares[0].tolist() == [0.0] * 4
    assert shares[1].tolist() == [0.0, 0.0, 1.0, 0.0]
    assert attention_shares(reward_model, reward_model.encode(["a"], [""]))[0].tolist() == [0.0] * 3


def test_a_head_that_pools_over_all_positions_is_read_at_all_of_them():
    tokenizer = word_tokenizer()
    config = ModernBertConfig(
        vocab_size=len(tokenizer),
        **TINY,
        classifier_pooling="mean",
        num_labels=1,
        pad_token_id=0,
    )
    reward_model = TransformersRewardModel(ModernBertForSequenceClassification(config), tokenizer)
    encoded = reward_model.encode(["the film"], [" is very good"])
    weights = last_layer(reward_model, encoded[0].ids).mean(axis=0) * encoded[0].is_response
    np.testing.assert_allclose(attention_shares(reward_model, encoded)[0], weights / weights.sum(), atol=1e-5)


def test_the_head_of_a_causal_model_reads_the_last_position():
    causal, bidirectional = np.array([[1.0, 0.0], [0.2, 0.8]]), np.array([[0.5, 0.5], [0.2, 0.8]])
    assert attention._readout_weights(SimpleNamespace(), causal).tolist() == [0.2, 0.8]
    assert attention._readout_weights(SimpleNamespace(), bidirectional).tolist() == [0.5, 0.5]


def test_a_head_that_attends_to_no_response_token_shares_equally():
    assert attention._normalized(np.array([1.0, 0.0, 0.0]), np.array([False, True, True])).tolist() == [0, 0.5, 0.5]


def test_a_model_that_shows_no_attention_is_refused():
    tokenizer = word_tokenizer(eos_token="[SEP]")
    config = T5Config(
        num_labels=1,
        vocab_size=len(tokenizer),
        d_model=16,
        d_kv=8,
        d_ff=32,
        num_layers=1,
        num_heads=2,
        eos_token_id=3,
        decoder_start_token_id=0,
    )
    reward_model = TransformersRewardModel(T5ForSequenceClassification(config), tokenizer)
    with pytest.raises(AttributionError, match="T5ForSequenceClassification shows no attention weights"):
        attention_shares(reward_model, reward_model.encode(["the"], [" film"]))


def test_a_callable_is_refused():
    with pytest.raises(AttributionError, match="needs a transformers reward model"):
        attention_shares(CallableRewardModel(len), [])
