"""The text of sampled tokens, and where in it each ends: for trainers that hand over token ids.

Tokenising a text again need not give the tokens that were sampled. Where it does, the tokenizer's own offsets say where
they end; any other response is decoded beginning by beginning.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from inner_loop.units.response_units import policy_token_ends

CHUNK = 64
"""Tokens decoded from one starting point; the time per response is then linear in its length."""

CONTEXT = 8
"""Tokens before a chunk that are decoded with it: more than the four bytes that one character may take."""

UNFINISHED = "\ufffd"
"""What tokenizers write for a character of which only some bytes are there."""


def decode_sampled(
    tokenizer: Any, token_ids: Sequence[Sequence[int]], before: Sequence[int] | None = None
) -> tuple[list[str], list[list[int]]]:
    """Texts without special tokens, and where in them each token ends.

    Args:
        tokenizer: The policy's, of transformers.
        token_ids: `b` responses as sampled, special tokens included.
        before: `b` tokens, each the one before a response, which some tokenizers need to know about a leading space;
            None decodes each response alone.

    Returns:
        `b` texts, and for each its `t` ends in characters: they never decrease, the last is the length of the text, a
        special token ends where the one before it does, and one that leaves a character unfinished ends before it.
    """
    rows = [[int(token) for token in ids] for ids in token_ids]
    if not rows:
        return [], []
    if before is None:
        texts = _texts(tokenizer, rows)
    else:
        anchors = _texts(tokenizer, [[int(token)] for token in before])
        whole = _texts(tokenizer, [[int(token), *ids] for token, ids in zip(before, rows, strict=True)])
        texts = [text[len(anchor) :] for anchor, text in zip(anchors, whole, strict=True)]
    ends = _ends_of_the_same_tokens(tokenizer, rows, texts)
    for index, (ids, text, known) in enumerate(zip(rows, texts, ends, strict=True)):
        if known is None:
            ends[index] = _ends_by_decoding(tokenizer, [] if before is None else [int(before[index])], ids, text)
    return texts, [known or [] for known in ends]


def _ends_of_the_same_tokens(tokenizer: Any, rows: Sequence[list[int]], texts: Sequence[str]) -> list[list[int] | None]:
    """By the tokenizer's offsets; None for a response of which it makes other tokens."""
    if not getattr(tokenizer, "is_fast", False):
        return [None] * len(rows)
    special = set(tokenizer.all_special_ids)
    own_ids = tokenizer(list(texts), add_special_tokens=False, verbose=False)["input_ids"]
    ends = list[list[int] | None]()
    for ids, own, known in zip(rows, own_ids, policy_token_ends(tokenizer, texts), strict=True):
        is_text = np.array([token not in special for token in ids], dtype=bool)
        is_same = [token for token in ids if token not in special] == list(own)
        ends.append(np.array([0, *known])[is_text.cumsum()].tolist() if is_same else None)
    return ends


def _ends_by_decoding(tokenizer: Any, before: list[int], ids: list[int], text: str) -> list[int]:
    if not ids:
        return []
    sequence, ends = [*before, *ids], list[int]()
    for start in range(0, len(ids), CHUNK):
        first = start + len(before)
        n_before = min(first, CONTEXT)
        lengths = _visible_lengths(tokenizer, sequence[first - n_before : first + CHUNK], n_before)
        ends += [(ends[start - 1] if start else 0) + length - lengths[0] for length in lengths[1:]]
    if ends[-1] != len(text.rstrip(UNFINISHED)):
        # This tokenizer looks further back than CONTEXT.
        lengths = _visible_lengths(tokenizer, sequence, len(before))
        ends = [length - lengths[0] for length in lengths[1:]]
    highest = np.maximum.accumulate(np.clip(ends, 0, len(text)))
    return [*highest[:-1].tolist(), len(text)]


def _visible_lengths(tokenizer: Any, sequence: list[int], n_before: int) -> list[int]:
    """Characters that are complete after `n_before` tokens, after one more, and so on to the end."""
    beginnings = [sequence[:end] for end in range(n_before, len(sequence) + 1)]
    return [len(text.rstrip(UNFINISHED)) for text in _texts(tokenizer, beginnings)]


def _texts(tokenizer: Any, sequences: Sequence[list[int]]) -> list[str]:
    texts: list[str] = tokenizer.batch_decode(
        list(sequences), skip_special_tokens=True, clean_up_tokenization_spaces=False
    )
    return texts
