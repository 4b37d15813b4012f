"""Reviews to clean sentences: one lower-case style, ordinary punctuation spacing, for both sources."""

from __future__ import annotations

import re
import unicodedata

MIN_WORDS = 3
MAX_WORDS = 40

_LINE_BREAK = re.compile(r"<br\s*/?>|\n+", re.IGNORECASE)
_TAG = re.compile(r"<[^>]{1,40}>")
_QUOTES = str.maketrans({"“": '"', "”": '"', "‘": "'", "’": "'", "`": "'", "´": "'", "–": "-", "—": " -- "})
_STRAY = re.compile(r"[^\w\s.,;:!?'\"()&$%/*+-]|_")
# A sentence ends at . ! or ? (with closing quotes or brackets), before a space and something that can start one.
_SENTENCE_END = re.compile(r"(?<=[.!?])([\"')]*)\s+(?=[\"'(]?[A-Z0-9])")
_ABBREVIATION = re.compile(r"(?:\b(?:mr|mrs|ms|dr|st|jr|sr|vs|etc|prof|lt|sgt|no)|\b[a-z]|\.[a-z])\.$", re.IGNORECASE)

_SPACING = (
    (re.compile(r"\.(?:\s*\.)+"), "..."),  # ". . ." and "....." are one ellipsis
    (re.compile(r"([!?])[!?\s]*(?=[!?])"), ""),  # "!!!" is one mark, the last
    (re.compile(r"(\d) ?, ?(\d{3})\b"), r"\1,\2"),
    (re.compile(r"\s+([.,;:!?%)])"), r"\1"),
    (re.compile(r"([($])\s+"), r"\1"),
    (re.compile(r'"\s*([^"]*?)\s*"'), r'"\1"'),
    (re.compile(r"\s*-{2,}\s*"), " -- "),
    (re.compile(r"([,;:!?])(?=[a-z])"), r"\1 "),
    (re.compile(r"(?<=[a-z])(\.\.\.|[.])(?=[a-z]{3})"), r"\1 "),
    (re.compile(r"\s+"), " "),
)


def clean_sentence(text: str) -> str:
    """One sentence in the common style: lower case, no mark-up, no space before punctuation.

    >>> clean_sentence('a " smart " , funny film . . . for 2 , 500 fans !!!')
    'a "smart", funny film... for 2,500 fans!'
    """
    text = _TAG.sub(" ", unicodedata.normalize("NFKC", text).translate(_QUOTES)).lower()
    text = _STRAY.sub(" ", text)
    if text.count('"') % 2:
        text = text.replace('"', " ")
    for pattern, replacement in _SPACING:
        text = pattern.sub(replacement, text)
    return text.strip(" -*,;:/+")


def split_sentences(review: str) -> list[str]:
    """The clean sentences of a review that have between `MIN_WORDS` and `MAX_WORDS` words.

    >>> split_sentences("I saw it with Mr. Smith.<br /><br />We both loved it! So good.")
    ['i saw it with mr. smith.', 'we both loved it!']
    """
    sentences = []
    for paragraph in _LINE_BREAK.split(review):
        start = 0
        for end in _SENTENCE_END.finditer(paragraph):
            if _ABBREVIATION.search(paragraph[start : end.start()]):
                continue
            sentences.append(paragraph[start : end.end()])
            start = end.end()
        sentences.append(paragraph[start:])
    return [sentence for sentence in map(clean_sentence, sentences) if is_sentence(sentence)]


def is_sentence(text: str) -> bool:
    """Whether clean text is worth learning from: not too short or long, and made of words."""
    n_words = len(text.split())
    letters = sum(character.isalpha() or character == " " for character in text)
    return MIN_WORDS <= n_words <= MAX_WORDS and letters >= 0.85 * len(text) and "http" not in text
