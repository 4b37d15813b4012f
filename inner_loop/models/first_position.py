"""The last layer of an encoder for the first position alone, where a classifier reads no other.

A head of the BERT family reads the state of the first token. The last layer then needs keys and values of all
positions, but queries, attention, and everything after it only of the first: a tenth to a quarter of a forward pass of
three to six layers is saved.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from inner_loop.libraries.transformers_internals import attention_implementation
from inner_loop.models.padded_batches import forward_passes

PROBE_LENGTHS = (2, 5, 3)
"""Tokens of the sequences on which both ways are compared: some are padded, and models of few positions read them."""

PROBE_RTOL = 1e-4
"""How far the two may be apart, relative to the largest logit, or to one (float32 rounding is some 1e-6)."""

ATTENTIONS = {"eager", "sdpa"}
"""Whose masks say of every position which others it sees, or nothing if all see all."""


@torch.inference_mode()
def reads_first_position(model: Any) -> bool:
    """Whether the classifier's last layer can be run for the first position alone.

    The layer must have the parts of BERT's, and the model must give the same on a probe.
    """
    if not _is_like_bert(_last_layer(model)) or attention_implementation(model) not in ATTENTIONS:
        return False
    random = np.random.default_rng(0)
    vocabulary = model.config.get_text_config().vocab_size
    sequences = [random.integers(vocabulary, size=length, dtype=np.int32) for length in PROBE_LENGTHS]
    try:
        expected = _logits_of(model, sequences)
        with first_position_only(model):
            found = _logits_of(model, sequences)
    except (RuntimeError, IndexError, ValueError, TypeError):
        # There are fewer positions than the probe has, or the head reads others, too, and does not find them. A model
        # that wants more than ids and a mask will say so when it is used.
        return False
    limit = PROBE_RTOL * expected.abs().max().clamp(min=1.0)
    return found.shape == expected.shape and bool((found - expected).abs().max() <= limit)


@contextmanager
def first_position_only(model: Any) -> Iterator[None]:
    """Inside, the last layer gives `b x 1 x d` states instead of `b x L x d`; for models of `reads_first_position`."""
    layer = _last_layer(model)

    def forward(hidden_states: Tensor, attention_mask: Tensor | None = None, *_: Any, **__: Any) -> Tensor:
        return _first_states(layer, hidden_states, attention_mask)

    layer.forward = forward
    try:
        yield
    finally:
        del layer.forward


def _first_states(layer: Any, states: Tensor, mask: Tensor | None) -> Tensor:
    """`b x 1 x d` states after a layer of BERT, of `b x L x d` before it."""
    attention = layer.attention.self

    def heads(projected: Tensor) -> Tensor:
        return projected.unflatten(-1, (-1, attention.attention_head_size)).transpose(1, 2)

    first = states[:, :1]
    context = nn.functional.scaled_dot_product_attention(
        heads(attention.query(first)),
        heads(attention.key(states)),
        heads(attention.value(states)),
        attn_mask=None if mask is None else mask[..., :1, :],
        scale=attention.scaling,
    )
    attended = layer.attention.output(context.transpose(1, 2).flatten(-2), first)
    after: Tensor = layer.feed_forward_chunk(attended)
    return after


def _last_layer(model: Any) -> Any:
    """The last layer of an encoder; None if the model has none."""
    layers = getattr(getattr(getattr(model, "base_model", None), "encoder", None), "layer", None)
    return layers[-1] if isinstance(layers, nn.ModuleList) and len(layers) else None


def _is_like_bert(layer: Any) -> bool:
    attention = getattr(layer, "attention", None)
    own = getattr(attention, "self", None)
    parts = (*(getattr(own, name, None) for name in ("query", "key", "value")), getattr(attention, "output", None))
    return (
        all(isinstance(part, nn.Module) for part in parts)
        and all(hasattr(own, name) for name in ("attention_head_size", "scaling"))
        and callable(getattr(layer, "feed_forward_chunk", None))
        and not getattr(layer, "is_decoder", True)
    )


def _logits_of(model: Any, sequences: list[np.ndarray]) -> Tensor:
    passes = forward_passes(model, sequences, size_limit=len(sequences) * max(PROBE_LENGTHS))
    return torch.cat([output.logits for _, output in passes]).float()
