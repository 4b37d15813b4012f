"""One pass for a sequence and for all its beginnings, where a classifier is causal.

In a decoder no position sees a later one. If its head is applied to every position and the score read at the last, then
position t of one pass has the score of the first t + 1 tokens: the scores of all prefixes of a response, and of many
coalitions with absent units at their end, come with a pass that is made anyway.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from inner_loop.models.padded_batches import forward_passes

PROBE_LENGTH = 12
"""Tokens on which one pass is compared with a pass per beginning."""

PROBE_RTOL = 1e-4
"""How far the two may be apart, relative to the largest logit, or to one (float32 rounding is some 1e-6)."""

GROWING_ROPES = {"dynamic", "longrope"}
"""Position encodings that depend on the length of the whole sequence, so that its beginnings are not those alone."""


def whole_sequences(sequences: Sequence[bytes]) -> np.ndarray:
    """Per sequence, the index of one that begins with it and of which no other is the longer; its own if there is none.

    >>> whole_sequences([b"ab", b"abc", b"b", b"", b"ab"]).tolist()
    [1, 1, 2, 3, 1]

    Args:
        sequences: The bytes of token ids, equally many per token. No tokens are nobody's beginning.
    """
    whole = np.arange(len(sequences))
    order = sorted(range(len(sequences)), key=sequences.__getitem__, reverse=True)
    for later, index in pairwise(order):
        # In sorted order, whatever begins with a sequence comes right after it.
        if sequences[index] and sequences[later].startswith(sequences[index]):
            whole[index] = whole[later]
    return whole


def score_logits(
    model: Any, sequences: Sequence[np.ndarray], size_limit: int, *, is_causal: bool
) -> Iterator[tuple[np.ndarray, Tensor]]:
    """Run a classifier on all sequences; of those that begin another one, on that one only.

    Args:
        model: A transformers classifier.
        sequences: As `forward_passes` takes them.
        size_limit: Padded tokens of a batch.
        is_causal: What `scores_beginnings` says of the model; False runs it on every sequence.

    Yields:
        Indices of sequences, and their logits, `b x labels`. Where the logits of a batch are not those of its last
        positions, it tells nothing of other positions: the model is then run on the beginnings, too.
    """
    rest = np.arange(len(sequences))
    if is_causal:
        whole = whole_sequences([ids.tobytes() for ids in sequences])
        ends = np.array([len(ids) - 1 for ids in sequences])
        passed, rest = np.unique(whole), np.flatnonzero(whole != rest)
        with _every_position(model) as seen:
            for batch, output in forward_passes(model, [sequences[index] for index in passed], size_limit):
                indices, positions = passed[batch], seen.pop()
                yield indices, output.logits
                if torch.equal(positions[np.arange(len(indices)), ends[indices]], output.logits):
                    rows = {index: row for row, index in enumerate(indices.tolist())}
                    begun = rest[np.isin(whole[rest], indices)]
                    yield begun, positions[[rows[index] for index in whole[begun].tolist()], ends[begun]]
                    rest = np.setdiff1d(rest, begun)
    for batch, output in forward_passes(model, [sequences[index] for index in rest.tolist()], size_limit):
        yield rest[batch], output.logits


@torch.inference_mode()
def scores_beginnings(model: Any) -> bool:
    """Whether one pass of a classifier gives the scores of all beginnings of a sequence.

    Its architecture must say so (a linear head called `score`, no attention that looks ahead, positions that mean the
    same in sequences of any length), and it must give the same on a probe.
    """
    config = model.config.get_text_config()
    ropes = getattr(config, "rope_parameters", None) or {}
    kinds = {settings.get("rope_type") for settings in (ropes, *ropes.values()) if isinstance(settings, dict)}
    if (
        not isinstance(getattr(model, "score", None), nn.Linear)
        or any(getattr(module, "is_causal", True) is False for module in model.modules())
        or kinds & GROWING_ROPES
    ):
        return False
    ids = np.random.default_rng(0).integers(config.vocab_size, size=PROBE_LENGTH, dtype=np.int32)
    alone = torch.cat([output.logits for _, output in _passes_of([ids[: end + 1] for end in range(len(ids))], model)])
    with _every_position(model) as seen:
        list(_passes_of([ids], model))
    at_once = seen[0].float()[0]
    limit = PROBE_RTOL * alone.abs().max().clamp(min=1.0)
    return at_once.shape == alone.shape and bool((at_once - alone.float()).abs().max() <= limit)


def _passes_of(sequences: Sequence[np.ndarray], model: Any) -> Iterator[tuple[np.ndarray, Any]]:
    return forward_passes(model, sequences, size_limit=PROBE_LENGTH**2)


@contextmanager
def _every_position(model: Any) -> Iterator[list[Tensor]]:
    """A list that takes the logits of all positions, `b x L x labels`, of every pass."""
    seen: list[Tensor] = []
    handle = model.score.register_forward_hook(lambda _module, _inputs, logits: seen.append(logits))
    try:
        yield seen
    finally:
        handle.remove()
