"""Where sampled tokens end in the text that they decode to: for trainers that hand over token ids."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from inner_loop.units.response_units import policy_token_ends


def decode_sampled(tokenizer: Any, token_ids: Sequence[Sequence[int]]) -> tuple[list[str], list[list[int]]]:
    """Texts without special tokens, and where in them each token ends.

    A tokenizer does not always make the tokens of a text that were sampled. Where it does, its own offsets say where
    they end; any other response is decoded beginning by beginning.

    Args:
        tokenizer: The policy's, of transformers.
        token_ids: `b` responses as sampled, special tokens included.

    Returns:
        `b` texts, and for each its `t` ends in characters: they never decrease, the last is the length of the text, and
        a special token ends where the one before it does.
    """
    if not token_ids:
        return [], []
    rows = [[int(token) for token in ids] for ids in token_ids]
    texts = tokenizer.batch_decode(rows, skip_special_tokens=True, clean_up_tokenization_spaces=False)
    own_ids = tokenizer(texts, add_special_tokens=False, verbose=False)["input_ids"]
    special, fast = set(tokenizer.all_special_ids), getattr(tokenizer, "is_fast", False)
    ends = list[list[int]]()
    own_ends = policy_token_ends(tokenizer, texts) if fast else [[] for _ in texts]
    for ids, text, own, known in zip(rows, texts, own_ids, own_ends, strict=True):
        is_text = np.array([token not in special for token in ids], dtype=bool)
        if fast and [token for token in ids if token not in special] == list(own):
            ends.append(np.array([0, *known])[is_text.cumsum()].tolist())
        else:
            ends.append(_ends_by_decoding(tokenizer, ids, text))
    return texts, ends


def _ends_by_decoding(tokenizer: Any, ids: Sequence[int], text: str) -> list[int]:
    beginnings = tokenizer.batch_decode(
        [ids[:end] for end in range(1, len(ids))], skip_special_tokens=True, clean_up_tokenization_spaces=False
    )
    # A token that leaves a character unfinished ends before it.
    ends = [min(len(beginning.rstrip("\ufffd")), len(text)) for beginning in beginnings]
    return [int(end) for end in np.maximum.accumulate([*ends, len(text)])]
