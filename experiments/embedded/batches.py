"""Shuffled, padded batches of token sequences of similar length, sized by tokens."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence

import numpy as np
import torch
from torch import Tensor


def length_bucketed(lengths: Sequence[int], tokens_per_batch: int, rng: np.random.Generator) -> Iterator[np.ndarray]:
    """One epoch of index batches in random order, each holding at most `tokens_per_batch` padded tokens.

    Sequences are sorted by length with a little noise, so that batches differ from epoch to epoch.
    """
    lengths = np.asarray(lengths)
    order = np.argsort(lengths + rng.random(len(lengths)) * 2, kind="stable")
    batches, batch, longest = [], [], 0
    for index in order:
        longest = max(longest, lengths[index])
        if batch and longest * (len(batch) + 1) > tokens_per_batch:
            batches.append(np.array(batch))
            batch, longest = [], lengths[index]
        batch.append(index)
    if batch:
        batches.append(np.array(batch))
    for position in rng.permutation(len(batches)):
        yield batches[position]


def in_chunks(
    encode: Callable[[list[str]], Iterable[list[int]]], texts: Sequence[str], size: int = 2000
) -> list[np.ndarray]:
    """Token ids of every text as arrays, a few texts at a time, because encodings are large while they live."""
    return [np.array(ids) for start in range(0, len(texts), size) for ids in encode(list(texts[start : start + size]))]


def pad(sequences: Sequence[np.ndarray], pad_id: int) -> tuple[Tensor, Tensor]:
    """`(input_ids, attention_mask)`, both `b x t`, padded on the right."""
    longest = max(map(len, sequences))
    input_ids = torch.full((len(sequences), longest), pad_id)
    attention_mask = torch.zeros((len(sequences), longest), dtype=torch.long)
    for row, sequence in enumerate(sequences):
        input_ids[row, : len(sequence)] = torch.from_numpy(sequence)
        attention_mask[row, : len(sequence)] = 1
    return input_ids, attention_mask
