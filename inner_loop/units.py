"""Response -> units: the players of the attribution game, as character ranges, and their place among policy tokens.

Units partition the response text: every character belongs to exactly one unit, so joined they are the response.
"""

import itertools
import re

import numpy as np

_WORD = re.compile(r"\s*\S+")


def split_words(text: str) -> list[tuple[int, int]]:
    """Character ranges `(start, end)` of the words of `text`, each with the white space before it.

    Trailing white space belongs to the last word; a text of white space alone is one unit; an empty text has none.

    >>> split_words("a fine  film. ")
    [(0, 1), (1, 6), (6, 14)]
    """
    if not text:
        return []
    words = [match.span() for match in _WORD.finditer(text)] or [(0, len(text))]
    words[-1] = (words[-1][0], len(text))
    return words


def split_units(text: str, max_units: int) -> list[tuple[int, int]]:
    """Words of `text`, merged into at most `max_units` spans of neighbours whose word counts differ by one at most.

    >>> split_units("one two three four five", max_units=3)
    [(0, 7), (7, 18), (18, 23)]
    """
    words = split_words(text)
    if len(words) <= max_units:
        return words
    return [(group[0][0], group[-1][1]) for group in _even_groups(words, max_units)]


def _even_groups(words: list[tuple[int, int]], n_groups: int) -> list[list[tuple[int, int]]]:
    bounds = [-(-len(words) * g // n_groups) for g in range(n_groups + 1)]
    return [words[start:end] for start, end in itertools.pairwise(bounds)]


def last_tokens_of_units(unit_ends: np.ndarray, token_ends: np.ndarray) -> np.ndarray:
    """Index of the policy token that completes each unit: the first one that reaches the unit's end.

    The credit of a unit goes there. Every token of the unit then still has it ahead, in its reward-to-go, whereas an
    even split would hide from the last token of a word what the first was paid for their common work.

    Args:
        unit_ends: `u` end offsets of the units, in characters of the response, increasing.
        token_ends: `t` end offsets of the policy tokens, in the same characters, non-decreasing.

    Returns:
        `u` token indices; a unit beyond the last token's text goes to the last token.
    """
    return np.minimum(np.searchsorted(token_ends, unit_ends, side="left"), len(token_ends) - 1)
