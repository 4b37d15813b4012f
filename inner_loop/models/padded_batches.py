"""Forward passes of any classifier over token sequences: similar lengths together, padded on the right."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import chain
from typing import Any

import numpy as np
import torch


def forward_passes(
    model: Any, sequences: Sequence[np.ndarray], size_limit: int, *, power: int = 1, **options: Any
) -> Iterator[tuple[np.ndarray, Any]]:
    """Run `model` on all sequences, short ones first.

    Args:
        model: A transformers classifier.
        sequences: Token ids, `L >= 1` each. A token that is not attended to is written as its complement, `~id`; the
            last one is attended to.
        size_limit: Bound of rows x length^`power` in a batch; a longer sequence makes a batch of its own.
        power: 1 bounds the padded tokens, 2 the attention weights.
        options: Given on to the model.

    Yields:
        Indices of a batch's sequences and the model's output for them.
    """

    def on_device(array: np.ndarray) -> torch.Tensor:
        return torch.from_numpy(array).to(model.device)

    config = model.config.get_text_config()
    sizes = np.array([len(sequence) for sequence in sequences]) ** power
    # Fewer rows than words, so that there is an id which ends none of them.
    for batch in _batches(sizes, size_limit, max_rows=config.vocab_size - 1):
        ids, attended, pad_id = _padded([sequences[index] for index in batch], config)
        with _padding_id(config, pad_id):
            output = model(input_ids=on_device(ids), attention_mask=on_device(attended), **options)
        yield batch, output


def _batches(sizes: np.ndarray, limit: int, max_rows: int) -> Iterator[np.ndarray]:
    """Cut indices, sorted by size, into batches of at most `limit` rows x largest size (one row at least)."""
    order = np.argsort(sizes, kind="stable")
    start = 0
    while start < len(order):
        upcoming = sizes[order[start : start + max_rows]]
        n_rows = max(1, int(np.searchsorted(upcoming * np.arange(1, len(upcoming) + 1), limit, side="right")))
        yield order[start : start + n_rows]
        start += n_rows


def _padded(rows: Sequence[np.ndarray], config: Any) -> tuple[np.ndarray, np.ndarray, int]:
    """`b x L` ids and attention mask, and the padding id; lengths are the rows', never read off the ids."""
    lengths, tokens = np.array([len(row) for row in rows]), np.concatenate(rows)
    pad_id = _pad_id(config, set(tokens[lengths.cumsum() - 1].tolist()))
    is_token = np.arange(lengths.max()) < lengths[:, None]
    ids = np.full(is_token.shape, ~pad_id, dtype=np.int64)
    ids[is_token] = tokens
    return np.where(ids < 0, ~ids, ids), (ids >= 0).astype(np.int64), pad_id


def _pad_id(config: Any, last_ids: set[int]) -> int:
    """An id that ends no sequence, the model's own if possible.

    Decoder classifiers read the score at the rightmost token that is not the padding id, whatever the attention mask
    says; where that id is also the end of a sequence (pad = eos), they would read one token early.
    """
    own = config.pad_token_id
    return next(
        i for i in chain([own] if own is not None and own >= 0 else [], range(config.vocab_size)) if i not in last_ids
    )


@contextmanager
def _padding_id(config: Any, pad_id: int) -> Iterator[None]:
    """Tell the model which id is padding in this batch."""
    own = config.pad_token_id
    config.pad_token_id = pad_id
    try:
        yield
    finally:
        config.pad_token_id = own
