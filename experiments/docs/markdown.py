"""Pieces of Markdown."""

from collections.abc import Iterable, Sequence


def table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    r"""A table whose cells may hold anything.

    >>> print(table(["key", "type"], [["a", "x | y"]]))
    | key | type |
    |---|---|
    | a | x \\| y |
    """
    lines = [heads, *rows]
    text = ["| " + " | ".join(cell(part) for part in line) + " |" for line in lines]
    return "\n".join([text[0], "|" + "---|" * len(heads), *text[1:]])


def cell(text: str) -> str:
    """Text on one line that does not end a cell."""
    return " ".join(text.split()).replace("|", "\\|")
