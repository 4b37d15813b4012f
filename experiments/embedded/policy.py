"""The policy: a 4.2M-parameter Llama that writes one sentence of a film review, then ends it."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from experiments.embedded.batches import in_chunks, length_bucketed, pad
from experiments.embedded.training import train

MAX_TOKENS = 64
"""Longer sentences are cut, without an end token."""


@dataclass(frozen=True)
class PolicyTraining:
    """How the policy is trained."""

    epochs: float = 1.0
    tokens_per_batch: int = 2048
    learning_rate: float = 2.5e-3
    seed: int = 0
    hidden_size: int = 256
    n_layers: int = 4


def new_policy(tokenizer: PreTrainedTokenizerFast, settings: PolicyTraining) -> LlamaForCausalLM:
    """An untrained policy, its weights drawn with the seed of its training."""
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=settings.hidden_size,
        intermediate_size=settings.hidden_size * 43 // 16,
        num_hidden_layers=settings.n_layers,
        num_attention_heads=4,
        max_position_embeddings=128,
        tie_word_embeddings=True,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
        attn_implementation="eager",  # faster than SDPA in bfloat16 on short sequences
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(settings.seed)
        model = LlamaForCausalLM(config)
    # Plain sampling by default: `generate` would otherwise be greedy, or cut the distribution at its top 50.
    model.generation_config.update(do_sample=True, temperature=1.0, top_k=0)
    return model


def encode(tokenizer: PreTrainedTokenizerFast, texts: Sequence[str]) -> list[np.ndarray]:
    """Token ids with begin and end tokens, at most `MAX_TOKENS` of them."""

    def with_end(chunk: list[str]) -> list[list[int]]:
        return [[*ids, tokenizer.eos_token_id][:MAX_TOKENS] for ids in tokenizer(chunk)["input_ids"]]

    return in_chunks(with_end, texts)


def token_losses(model: LlamaForCausalLM, sequences: Sequence[np.ndarray]) -> Tensor:
    """Negative log-likelihood of every token after the first of each sequence, concatenated, in nats."""
    input_ids, attention_mask = pad(sequences, model.config.pad_token_id)
    hidden = model.model(input_ids, attention_mask=attention_mask).last_hidden_state[:, :-1]
    predicted = attention_mask[:, 1:].bool()
    logits = model.lm_head(hidden[predicted])
    return cross_entropy(logits.float(), input_ids[:, 1:][predicted], reduction="none")


def train_policy(
    tokenizer: PreTrainedTokenizerFast, texts: Sequence[str], settings: PolicyTraining
) -> tuple[LlamaForCausalLM, float]:
    """A trained policy and the minutes it took."""
    sequences = encode(tokenizer, texts)
    model = new_policy(tokenizer, settings)
    minutes = train(
        model,
        _epochs(sequences, settings),
        lambda batch: token_losses(model, batch).mean(),
        learning_rate=settings.learning_rate,
        weight_decay=0.1,
    )
    return model, minutes


def _epochs(sequences: list[np.ndarray], settings: PolicyTraining) -> Iterator[tuple[float, list[np.ndarray]]]:
    rng = np.random.default_rng(settings.seed)
    lengths = [len(sequence) for sequence in sequences]
    for epoch in range(math.ceil(settings.epochs)):
        batches = list(length_bucketed(lengths, settings.tokens_per_batch, rng))
        for position, batch in enumerate(batches):
            progress = (epoch + position / len(batches)) / settings.epochs
            if progress >= 1:
                return
            yield progress, [sequences[index] for index in batch]


@dataclass(frozen=True)
class Perplexity:
    """How well the policy predicts sentences it has not seen."""

    per_token: float
    """Over tokens, end token included."""
    per_word: float
    """The same likelihood spread over space-separated words."""


@torch.inference_mode()
def perplexity(model: LlamaForCausalLM, tokenizer: PreTrainedTokenizerFast, texts: Sequence[str]) -> Perplexity:
    """Perplexity on whole sentences, in float32."""
    sequences = encode(tokenizer, texts)
    nats = torch.cat([token_losses(model, sequences[i : i + 64]) for i in range(0, len(sequences), 64)])
    n_words = sum(len(text.split()) for text in texts)
    return Perplexity(math.exp(nats.mean().item()), math.exp(nats.double().sum().item() / n_words))


@torch.inference_mode()
def sample(
    model: LlamaForCausalLM,
    tokenizer: PreTrainedTokenizerFast,
    prompts: Sequence[str],
    *,
    temperature: float,
    seed: int,
    max_new_tokens: int = 40,
) -> list[str]:
    """Prompts with their continuations, sampled without truncation of the distribution."""
    inputs = tokenizer(list(prompts), return_tensors="pt", padding=True, padding_side="left")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        output = model.generate(
            input_ids=inputs["input_ids"],
            attention_mask=inputs["attention_mask"],
            do_sample=True,
            temperature=temperature,
            max_new_tokens=max_new_tokens,
        )
    return tokenizer.batch_decode(output, skip_special_tokens=True)
