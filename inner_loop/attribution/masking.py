"""Masked versions of a response: what the reward model reads in each coalition.

`n` units, `m` coalitions, `L` tokens. On token ids wherever the reward model takes them; the text is never put together
and tokenised again, so present tokens stay the tokens they were.
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import Literal

import numpy as np

from inner_loop.errors import AttributionError
from inner_loop.models.encoding import EncodedResponse

Masking = Literal["remove", "mask", "attention"]
"""`remove` drops absent units, `mask` puts the reward model's mask in their place, `attention` hides them from the
model's attention and leaves everything else where it was."""


def token_units(encoded: EncodedResponse, offsets: Sequence[tuple[int, int]]) -> np.ndarray:
    """`L` units, by index: that of each token's first character that is not white space; -1 for tokens of no unit.

    Args:
        encoded: The response's tokens.
        offsets: `n` character ranges, in order.
    """
    ranges = np.array(offsets, dtype=np.int64).reshape(-1, 2)
    first = encoded.spans[:, 0]
    units = np.searchsorted(ranges[:, 0], first, side="right") - 1
    if not len(ranges):
        return units
    return np.where(encoded.is_response & (first < ranges[units, 1]), units, -1)


def masked_sequences(
    ids: np.ndarray, units: np.ndarray, coalitions: np.ndarray, masking: Masking, mask_id: int
) -> list[np.ndarray]:
    """The token sequence of each coalition; tokens of no unit are in all of them.

    Args:
        ids: `L` tokens of the whole response.
        units: `L` units as `token_units` gives them.
        coalitions: `m x n` booleans.
        masking: How absent units are left out.
        mask_id: Takes the place of each token of an absent unit, under `mask`.

    Returns:
        `m` sequences. Under `attention`, hidden tokens are written as their complement, `~id`; those at the end are
        dropped, for nothing reads them.
    """
    always = np.ones((len(coalitions), 1), dtype=bool)
    is_present = np.concatenate([always, coalitions], axis=1)[:, units + 1]
    if masking == "mask":
        return list(np.where(is_present, ids, np.int32(mask_id)))
    if masking == "remove":
        in_sequence, tokens = is_present, np.broadcast_to(ids, is_present.shape)
    else:
        in_sequence = np.logical_or.accumulate(is_present[:, ::-1], axis=1)[:, ::-1]
        tokens = np.where(is_present, ids, ~ids)
    flat = tokens[in_sequence]
    ends = in_sequence.sum(axis=1).cumsum().tolist()
    return [flat[start:end] for start, end in pairwise([0, *ends])]


def masked_texts(
    prompt: str,
    response: str,
    offsets: Sequence[tuple[int, int]],
    coalitions: np.ndarray,
    masking: Masking,
    mask_text: str,
) -> list[str]:
    """The text of each coalition: the prompt, then the units that are present and what stands for the absent ones.

    Args:
        prompt: Kept whole in every text.
        response: The text that `offsets` partition.
        offsets: `n` character ranges.
        coalitions: `m x n` booleans.
        masking: `remove`, or `mask`, which puts `mask_text` in place of a unit, keeping its leading white space.
        mask_text: The reward model's mask.

    Raises:
        AttributionError: Under `attention`: a text cannot say what not to attend to.
    """
    if masking == "attention":
        raise AttributionError("masking='attention' needs a transformers reward model; this one reads texts.")
    if not len(offsets):
        return [prompt + response] * len(coalitions)
    present = [response[start:end] for start, end in offsets]
    absent = [""] * len(offsets)
    if masking == "mask":
        absent = [unit[: len(unit) - len(unit.lstrip())] + mask_text for unit in present]
    choices = np.array([absent, present], dtype=object)
    rows = np.where(coalitions, choices[1], choices[0])
    return [prompt + "".join(row) for row in rows]
