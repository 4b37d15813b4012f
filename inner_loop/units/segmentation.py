"""Text -> pieces, words or sentences, by rule: character ranges that partition the text, in any language.

A range carries the white space before it; trailing white space belongs to the last one. A text of white space alone is
one range, an empty text has none. No range begins inside a user-perceived character: a letter keeps its combining
marks, an emoji its modifiers.
"""

import itertools
import re
import unicodedata
from collections.abc import Iterable

_NO_SPACES = re.compile(
    "[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
    "\uff66-\uff9f\U00020000-\U0003ffff]"
)
"""Thai, Lao, Burmese, Khmer, kana and Han: scripts that put no space between words."""


class _CharacterClasses(dict[int, str]):
    """Code point -> one character for its class, for `str.translate`; filled as characters are met.

    White space " ", word "w", digit "d", letter of a script without spaces "c", apostrophe "'", regional indicator "r"
    (two make a flag), zero-width joiner "j", anything else that extends the character before it "m", other ".".
    """

    def __missing__(self, code: int) -> str:
        self[code] = _class_of(chr(code))
        return self[code]


def _class_of(character: str) -> str:
    if character.isspace():
        return " "
    if character == "\u200d":
        return "j"
    # Marks and invisible formatting; then the skin tones of emoji.
    if unicodedata.category(character) in ("Mn", "Mc", "Me", "Cf") or "\U0001f3fb" <= character <= "\U0001f3ff":
        return "m"
    if "\U0001f1e6" <= character <= "\U0001f1ff":
        return "r"
    if character in "'\u2019":
        return "'"
    if _NO_SPACES.match(character):
        return "c"
    if character.isdigit():
        return "d"
    return "w" if character.isalnum() or character == "_" else "."


_CLASSES = _CharacterClasses()

# All three run over the classes of the characters, not over the text.
_EXTENSION = r"(?:[mj]|(?<=j)\.)*"
_CHARACTER = re.compile(rf"(?:rr|.){_EXTENSION}")
_PIECE = re.compile(
    r" *(?:(?:[wd][mj]*(?:(?<=d)\.(?=d)|(?<=w)'(?=w))?)+"  # words and numbers: don't, 3.5, 10/10
    rf"|(?:rr|[^ ]){_EXTENSION})"  # or one character
)
_WORD = re.compile(r" *(?:\.*c[mj]*\.*|[^ c]+)")


def split_pieces(text: str) -> list[tuple[int, int]]:
    """Words, numbers and single punctuation marks: the tokens of a text for which there is no tokenizer.

    >>> text = "It's 3.5, not 4!"
    >>> [text[start:end] for start, end in split_pieces(text)]
    ["It's", ' 3.5', ',', ' not', ' 4', '!']
    """
    return _ranges_of(_PIECE, text)


def split_words(text: str) -> list[tuple[int, int]]:
    """Words with their punctuation; in scripts without spaces, characters.

    >>> split_words("a fine  film. ")
    [(0, 1), (1, 6), (6, 14)]
    """
    return _ranges_of(_WORD, text)


def character_starts(text: str) -> set[int]:
    """Where user-perceived characters begin.

    >>> sorted(character_starts("ne\u0301e"))
    [0, 1, 3]
    """
    return {match.start() for match in _CHARACTER.finditer(text.translate(_CLASSES))}


def ranges_between(text: str, starts: Iterable[int]) -> list[tuple[int, int]]:
    """The ranges of `text` that begin at the increasing `starts`, the first one moved to 0."""
    bounds = [0, *(start for start in starts if start > 0), len(text)] if text else [0]
    return list(itertools.pairwise(bounds))


def _ranges_of(pattern: re.Pattern[str], text: str) -> list[tuple[int, int]]:
    return ranges_between(text, (match.start() for match in pattern.finditer(text.translate(_CLASSES).rstrip())))
