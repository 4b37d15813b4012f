r"""Text that a model, a config or an exception wrote, made honest to show, and safe for a terminal.

Characters that cannot be seen, or that reorder or erase what can be seen (controls such as those of a terminal,
zero-width and bidirectional characters, fillers), are spelt out as visible escapes such as `\u200b`.
"""

import unicodedata
from collections.abc import Iterator

# Cc controls, Cf format (zero-width, bidi), Co private, Cs surrogates, Cn unassigned, Zl and Zp separators.
_HIDDEN_CATEGORIES = frozenset({"Cc", "Cf", "Co", "Cs", "Cn", "Zl", "Zp"})
# Letters and marks that are drawn as nothing: fillers, grapheme joiner, Khmer inherent vowels, blank braille,
# variation selectors.
_HIDDEN_CHARACTERS = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0") | frozenset(
    chr(code) for span in (range(0x180B, 0x1810), range(0xFE00, 0xFE10), range(0xE0100, 0xE01F0)) for code in span
)
_SHORT = {"\n": "\\n", "\t": "\\t", "\r": "\\r"}


def is_hidden(character: str) -> bool:
    """Whether a reader cannot see this character (or sees something else because of it)."""
    category = unicodedata.category(character)
    odd_space = category == "Zs" and character != " "
    return odd_space or category in _HIDDEN_CATEGORIES or character in _HIDDEN_CHARACTERS


def visible_text(text: str) -> str:
    r"""Plain text in which hidden characters are spelt out.

    >>> print(visible_text("a\u200bb\n"))
    a\u200bb\n
    """
    return "".join(piece for piece, _ in spelt_pieces(text))


def spelt_pieces(text: str) -> Iterator[tuple[str, bool]]:
    """The text in pieces to show: each with whether it spells out a hidden character."""
    for character in text:
        hidden = is_hidden(character)
        yield _spell(character) if hidden else character, hidden


def visible_lines(text: str) -> str:
    r"""As `visible_text`, for text of several lines: line breaks stay, and so do tabs, as spaces.

    A carriage return without a line break is a progress bar that starts over: what it erased is left out.

    >>> print(visible_lines("10 %\r100 %\n\x1b[31mred"))
    100 %
    \u001b[31mred
    """
    lines = text.replace("\r\n", "\n").split("\n")
    return "\n".join(visible_text(line.rstrip("\r").rpartition("\r")[2].expandtabs()) for line in lines)


def _spell(character: str) -> str:
    code = ord(character)
    return _SHORT.get(character) or (f"\\u{code:04x}" if code <= 0xFFFF else f"\\U{code:08x}")
