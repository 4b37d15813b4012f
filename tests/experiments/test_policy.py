"""Training of the policy at toy size."""

import pytest
import torch

from experiments.embedded.policy import MAX_TOKENS, PolicyTraining, encode, new_policy, perplexity, train_policy
from experiments.embedded.tokenizers import train_policy_tokenizer

TEXTS = [f"the film number {i} is good and long." for i in range(40)]


@pytest.fixture(scope="module")
def tokenizer():
    return train_policy_tokenizer(TEXTS, vocab_size=300)


def test_sentences_begin_and_end_with_their_tokens(tokenizer):
    (ids,) = encode(tokenizer, ["the film is good."])
    assert ids[0] == tokenizer.bos_token_id
    assert ids[-1] == tokenizer.eos_token_id


def test_a_sentence_that_is_cut_has_no_end(tokenizer):
    (ids,) = encode(tokenizer, ["good " * 100])
    assert len(ids) == MAX_TOKENS
    assert tokenizer.eos_token_id not in ids


def test_training_lowers_the_perplexity_and_a_seed_repeats_it(tokenizer):
    settings = PolicyTraining(epochs=2, tokens_per_batch=128)
    untrained = perplexity(new_policy(tokenizer, PolicyTraining()), tokenizer, TEXTS)
    model, _ = train_policy(tokenizer, TEXTS, settings)
    again, _ = train_policy(tokenizer, TEXTS, settings)
    assert perplexity(model, tokenizer, TEXTS).per_token < 0.3 * untrained.per_token
    torch.testing.assert_close(model.state_dict(), again.state_dict(), rtol=0, atol=0)


def test_perplexity_of_a_uniform_policy_is_the_vocabulary_size(tokenizer):
    model = new_policy(tokenizer, PolicyTraining())
    torch.nn.init.zeros_(model.get_input_embeddings().weight)  # tied: all logits are zero
    measured = perplexity(model, tokenizer, ["the film", "is good"])
    n_tokens = sum(len(ids) - 1 for ids in encode(tokenizer, ["the film", "is good"]))
    assert measured.per_token == pytest.approx(len(tokenizer), rel=1e-4)
    assert measured.per_word == pytest.approx(len(tokenizer) ** (n_tokens / 4), rel=1e-4)
