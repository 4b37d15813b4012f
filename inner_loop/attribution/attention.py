"""Attention as credit: how the reward model's last layer spreads its attention over the response (ABC).

.. [Chan2024] Dense Reward for Free in Reinforcement Learning from Human Feedback. arXiv:2402.00782.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch

from inner_loop.errors import AttributionError
from inner_loop.libraries.transformers_internals import attention_implementation
from inner_loop.models.encoding import EncodedResponse
from inner_loop.models.padded_batches import forward_passes
from inner_loop.models.transformers_reward_model import TransformersRewardModel

WEIGHTS_PER_BATCH = 2**18
"""Rows x length^2 in one forward pass: every head of every layer holds as many weights at once, 1 MiB each."""


@torch.inference_mode()
def attention_shares(reward_model: Any, encoded: Sequence[EncodedResponse]) -> list[np.ndarray]:
    """Each token's share of the attention that the score is read with, section 3.2 of [Chan2024]_.

    The weights are the last layer's, averaged over heads, of the position the head reads: the last token of a causal
    model, the first of an encoder (see `_readout_weights`). Prompt and special tokens get nothing; the rest is scaled
    to sum to one.

    Args:
        reward_model: A transformers reward model.
        encoded: `b` responses, as `reward_model.encode` gives them.

    Returns:
        Per response, `L` float64 shares of its tokens: at least 0, with sum 1; all zero if no token is the response's.

    Raises:
        AttributionError: If the reward model has no attention weights to show.
    """
    if not isinstance(reward_model, TransformersRewardModel):
        raise AttributionError("Attention credit needs a transformers reward model; this one reads texts.")
    shares = [np.zeros(len(response.ids)) for response in encoded]
    credited = [index for index, response in enumerate(encoded) if response.is_response.any()]
    sequences = [encoded[index].ids for index in credited]
    with _eager_attention(reward_model.model) as model:
        for batch, output in forward_passes(model, sequences, WEIGHTS_PER_BATCH, power=2, output_attentions=True):
            if not getattr(output, "attentions", None):
                raise AttributionError(f"{type(model).__name__} shows no attention weights: no attention credit.")
            weights = output.attentions[-1].double().mean(dim=1).cpu().numpy()
            for row, place in enumerate(batch):
                index = credited[place]
                length = len(encoded[index].ids)
                read = _readout_weights(model.config, weights[row, :length, :length])
                shares[index] = _normalized(read, encoded[index].is_response)
    return shares


def _readout_weights(config: Any, weights: np.ndarray) -> np.ndarray:
    """`L` weights of the position that the head reads, from `L x L` weights (query x key).

    The configuration says it where it differs from the rule: `classifier_pooling` (ModernBERT) may average over all
    positions. Else a model in which no position attends to a later one is causal and read at the last token, any other
    at the first.
    """
    if getattr(config, "classifier_pooling", None) == "mean":
        return weights.mean(axis=0)
    is_causal = len(weights) > 1 and not np.triu(weights, k=1).any()
    return weights[-1 if is_causal else 0]


def _normalized(weights: np.ndarray, is_response: np.ndarray) -> np.ndarray:
    """`weights` on the response's tokens, with sum one; equal where the head attends to none of them."""
    shares = np.where(is_response, weights, 0.0)
    if not shares.sum() > 0:
        shares = is_response.astype(np.float64)
    return shares / shares.sum()


@contextmanager
def _eager_attention(model: Any) -> Iterator[Any]:
    """The model with the one attention implementation that returns its weights."""
    own = attention_implementation(model)
    model.set_attn_implementation("eager")
    try:
        yield model
    finally:
        model.set_attn_implementation(own)
