"""Response -> units: the players of the attribution game, as character ranges, and their place among policy tokens.

Units partition the response: every character belongs to exactly one unit, so joined they are the response. A unit
carries the white space before it, and begins at no place inside a user-perceived character.
"""

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np

from inner_loop.errors import AttributionError
from inner_loop.units.parsers import Parser
from inner_loop.units.partition import cut_tree, text_tree
from inner_loop.units.segmentation import character_starts, ranges_between, split_pieces, split_words
from inner_loop.units.sentences import split_sentences
from inner_loop.units.turns import split_turns

UnitKind = Literal["auto", "tokens", "words", "spans", "sentences", "turns"]


def split_units(
    text: str,
    kind: UnitKind,
    *,
    max_units: int,
    token_limit: int,
    span_limit: int,
    token_spans: Sequence[tuple[int, int]] | None = None,
    parser: Parser | None = None,
) -> list[tuple[int, int]]:
    """Character ranges of the units of `text`; none for an empty text, one for white space alone.

    `tokens` are the reward model's, `words` those between white space (characters, in scripts without it),
    `sentences` by rule, `turns` those of the model in a conversation, `spans` the tokens merged into at most
    `max_units` along the partition tree. `auto` adapts to the length as SCAR does: tokens up to `token_limit` of
    them, spans up to `span_limit` tokens, and beyond that sentences, merged to `max_units` if they are more; a long
    text that does not divide into sentences falls back to spans.

    Args:
        text: The response.
        kind: What the units are.
        max_units: Bound on `spans`, and on `auto` beyond `token_limit`.
        token_limit: Most tokens that `auto` credits one by one.
        span_limit: Most tokens that `auto` groups into spans.
        token_spans: Where the reward model's tokens are in `text`: their character ranges, by increasing start. None
            takes words, numbers and punctuation marks for tokens.
        parser: For the tree of the spans; None takes `shap`'s scores.

    >>> limits = {"max_units": 3, "token_limit": 4, "span_limit": 60}
    >>> text = "A slow start, but it ends well."
    >>> [text[start:end] for start, end in split_units(text, "auto", **limits)]
    ['A slow start,', ' but', ' it ends well.']

    .. [Cao2025] SCAR: Shapley Credit Assignment for More Efficient RLHF. arXiv:2505.20417.
    """
    if kind == "words":
        return split_words(text)
    if kind == "sentences":
        return split_sentences(text)
    if kind == "turns":
        return split_turns(text)
    tokens = split_pieces(text) if token_spans is None else _units_of_tokens(text, token_spans)
    if kind == "tokens" or (kind == "auto" and len(tokens) <= token_limit):
        return tokens
    if kind == "auto" and len(tokens) > span_limit:
        sentences = split_sentences(text)
        if len(sentences) > 1:
            return _merge_neighbours(text, sentences, max_units, None)
    return _merge_neighbours(text, tokens, max_units, parser)


def _units_of_tokens(text: str, token_spans: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """Tokens as units; those that overlap, or share a user-perceived character, are one.

    A token of nothing visible makes no unit; like the characters in no token, it goes with the unit after it.
    """
    characters, starts, reached = character_starts(text), [], 0
    for start, end in np.asarray(token_spans, dtype=int).reshape(-1, 2).tolist():
        if end > len(text):
            raise AttributionError(f"a token ends at character {end} of a response of {len(text)}")
        if not text[start:end].strip():
            continue
        # Marks that the normaliser dropped stay with their letter.
        while reached < start and reached not in characters:
            reached += 1
        if reached <= start and reached in characters:
            starts.append(reached)
        reached = max(reached, end)
    return ranges_between(text, starts)


def _merge_neighbours(
    text: str, units: list[tuple[int, int]], max_units: int, parser: Parser | None
) -> list[tuple[int, int]]:
    if len(units) <= max_units:
        return units
    spans = cut_tree(text_tree(text, units, parser), max_units)
    return [(units[first][0], units[end - 1][1]) for first, end in spans]


def last_tokens_of_units(unit_ends: np.ndarray, token_ends: np.ndarray) -> np.ndarray:
    """Index of the policy token that completes each unit: the first one that reaches the unit's end.

    The credit of a unit goes there. Every token of the unit then still has it ahead, in its reward-to-go, whereas an
    even split would hide from the last token of a word what the first was paid for their common work.

    Args:
        unit_ends: `u` end offsets of the units, in characters of the response, increasing.
        token_ends: `t >= 1` end offsets of the policy tokens, in the same characters, non-decreasing.

    Returns:
        `u` token indices; a unit beyond the last token's text goes to the last token.
    """
    return np.minimum(np.searchsorted(token_ends, unit_ends, side="left"), len(token_ends) - 1)


def policy_token_ends(tokenizer: Any, responses: Sequence[str]) -> list[list[int]]:
    """Where the tokens of each response end, in characters of the response, tokenised on its own.

    Ends never decrease, and the last one is the length of the response. Of several tokens of one character, only the
    last one ends behind it, as in a rollout: until then, the character is not there.

    Args:
        tokenizer: A tokenizer of transformers, with offsets (a "fast" one) or without.
        responses: `b` texts.

    Returns:
        Per response its `t` ends; none where the tokenizer makes no token of a response (an empty one, or white space).

    Raises:
        AttributionError: If the tokenizer has no offsets, and its tokens do not decode to the response.
    """
    if not responses:
        return []
    if not getattr(tokenizer, "is_fast", False):
        return [_ends_by_decoding(tokenizer, response) for response in responses]
    encoded = tokenizer(list(responses), add_special_tokens=False, return_offsets_mapping=True, verbose=False)
    return [_token_ends(spans, len(text)) for spans, text in zip(encoded["offset_mapping"], responses, strict=True)]


def _token_ends(token_spans: Sequence[tuple[int, int]], length: int) -> list[int]:
    if not len(token_spans):
        return []
    spans = np.array(token_spans)
    # A token ends before the earliest start after it, so that tokens of one character share its start until the last.
    next_starts = np.append(np.minimum.accumulate(spans[:0:-1, 0])[::-1], length)
    return [*np.minimum(spans[:, 1], next_starts)[:-1].tolist(), length]


def _ends_by_decoding(tokenizer: Any, response: str) -> list[int]:
    ids = tokenizer(response, add_special_tokens=False)["input_ids"]
    beginnings = tokenizer.batch_decode([ids[: end + 1] for end in range(len(ids))], clean_up_tokenization_spaces=False)
    if ids and beginnings[-1] != response:
        raise AttributionError(
            f"{type(tokenizer).__name__} gives no offsets, and decodes {response!r:.80} as {beginnings[-1]!r:.80}; "
            "where its tokens end cannot be told"
        )
    ends = [len(beginning.rstrip("\ufffd")) for beginning in beginnings[:-1]]
    return [int(end) for end in np.maximum.accumulate([*ends, len(response)])] if ids else []
