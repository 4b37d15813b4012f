"""Parsers whose constituents shape the partition tree: spaCy's dependency parser, or a function of one's own.

A parser is a function from a text to the character ranges of its constituents, in any order:

>>> def clauses(text):
...     comma = text.index(",") + 1
...     return [(0, len(text)), (0, comma), (comma, len(text))]

Constituents may nest but not cross, and together they must cover the text, white space aside. They need not be binary,
nor know of units. `AttributionConfig.parser` takes its name, `module:function`.
"""

from collections.abc import Callable, Sequence
from functools import lru_cache
from operator import index
from typing import Any

import numpy as np

from inner_loop.errors import AttributionError
from inner_loop.io.entry_points import import_function

Parser = Callable[[str], Sequence[tuple[int, int]]]
"""Text -> character ranges of its constituents, `(start, end)` each."""


def load_parser(name: str | None) -> Parser | None:
    """The parser that a configuration names.

    Args:
        name: `spacy:MODEL`, a spaCy pipeline by name or folder ("spacy:en_core_web_sm"; spaCy is an optional extra), or
            `module:function`; None for none.

    Raises:
        AttributionError: If spaCy or its pipeline cannot be loaded.
        EntryPointError: If there is no such function.
    """
    if name is None:
        return None
    kind, _, model = name.partition(":")
    return spacy_parser(model) if kind == "spacy" else import_function(name)


@lru_cache(maxsize=4)
def spacy_parser(model: str) -> Parser:
    """A parser whose constituents are the subtrees of a spaCy pipeline's dependency parse; loaded once.

    Raises:
        AttributionError: If spaCy is not installed or does not find the pipeline; at the first text, if the pipeline
            does not parse dependencies.
    """
    try:
        import spacy
    except ImportError as error:
        raise AttributionError("the parser 'spacy:...' needs spaCy: pip install 'bo-shaping[spacy]'") from error
    try:
        pipeline = spacy.load(model)
    except OSError as error:
        raise AttributionError(f"spaCy has no pipeline {model!r}; try: python -m spacy download {model}") from error
    return lambda text: dependency_constituents(pipeline(text))


def dependency_constituents(doc: Any) -> list[tuple[int, int]]:
    """Character ranges of the subtrees of a parsed `spacy.tokens.Doc`: every token with all that depends on it.

    Where arcs cross (a non-projective parse), the range of a subtree that crosses one further left is left out.

    Raises:
        AttributionError: If the document carries no dependency parse.
    """
    if len(doc) and not doc.has_annotation("DEP"):
        raise AttributionError("the spaCy pipeline sets no dependencies; it needs a parser component")
    subtrees = {(token.left_edge.idx, token.right_edge.idx + len(token.right_edge)) for token in doc}
    constituents: list[tuple[int, int]] = []
    enclosing: list[tuple[int, int]] = []
    for start, end in sorted(subtrees, key=_outermost_first):
        while enclosing and enclosing[-1][1] <= start:
            enclosing.pop()
        if not enclosing or end <= enclosing[-1][1]:
            enclosing.append((start, end))
            constituents.append((start, end))
    return constituents


def constituents_of_units(text: str, offsets: Sequence[tuple[int, int]], parser: Parser) -> list[tuple[int, int]]:
    """A parser's constituents as ranges `(first, end)` of units, smallest first.

    A unit belongs where its visible text begins; constituents that are then alike are one, and those of no unit none.

    Args:
        text: What is parsed.
        offsets: `n` character ranges, the units.
        parser: Gives the constituents.

    Raises:
        AttributionError: If the parser's ranges are not what `Parser` says.
    """
    n, ranges = len(offsets), _checked_ranges(text, parser(text))
    visible = [start + len(text[start:end]) - len(text[start:end].lstrip()) for start, end in offsets]
    units = np.unique(np.searchsorted(visible, ranges, side="left"), axis=0)
    units = units[units[:, 0] < units[:, 1]]
    covered = np.zeros(n + 1, dtype=int)
    np.add.at(covered, units[:, 0], 1)
    np.add.at(covered, units[:, 1], -1)
    missing = np.flatnonzero(covered.cumsum()[:n] == 0)
    if len(missing):
        start, end = offsets[missing[0]]
        raise AttributionError(
            f"the parser's constituents do not cover {text[start:end]!r} (characters {start} to {end}, and "
            f"{len(missing) - 1} more units); they must be ranges of characters that together cover the text"
        )
    return [(int(first), int(end)) for first, end in units[np.argsort(units[:, 1] - units[:, 0], kind="stable")]]


def _checked_ranges(text: str, constituents: Any) -> np.ndarray:
    """The constituents as `m x 2` integers, if they are ranges of the text that do not cross."""
    try:
        ranges = [(index(start), index(end)) for start, end in constituents]
    except (TypeError, ValueError) as error:
        raise AttributionError(
            f"the parser must return (start, end) ranges of characters, got {constituents!r:.200}"
        ) from error
    enclosing: list[tuple[int, int]] = []
    for start, end in sorted(ranges, key=_outermost_first):
        if not 0 <= start < end <= len(text):
            raise AttributionError(f"the parser's range ({start}, {end}) is not in the text of {len(text)} characters")
        while enclosing and enclosing[-1][1] <= start:
            enclosing.pop()
        if enclosing and enclosing[-1][1] < end:
            raise AttributionError(
                f"the parser's ranges {enclosing[-1]} and ({start}, {end}) cross; constituents may only nest"
            )
        enclosing.append((start, end))
    return np.array(ranges, dtype=int).reshape(-1, 2)


def _outermost_first(span: tuple[int, int]) -> tuple[int, int]:
    return span[0], -span[1]
