"""A small table of a report as HTML: column heads, row heads, and on a narrow page a frame in which it is moved."""

from collections.abc import Sequence

from bo_shaping.text.escaping import escape


def html_table(heads: Sequence[str], rows: Sequence[Sequence[str]], about: str) -> str:
    """The table; the first cell of each row is what the row is about.

    Args:
        heads: Plain text, one per column; the first may be empty.
        rows: Plain text.
        about: What the table shows, in a few words, for whom it is read aloud.
    """
    # A head without a word is no head.
    head = "".join(f'<th scope="col">{escape(text)}</th>' if text else "<td></td>" for text in heads)
    body = "".join(
        f'<tr><th scope="row">{escape(name)}</th>{"".join(f"<td>{escape(cell)}</td>" for cell in cells)}</tr>'
        for name, *cells in rows
    )
    return framed(f'<table class="rivals"><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>', about)


def framed(table: str, about: str) -> str:
    """Any table in a frame that scrolls where the page is too narrow, by keyboard, too."""
    return f'<div class="wide" role="group" tabindex="0" aria-label="{escape(about)}">{table}</div>'
