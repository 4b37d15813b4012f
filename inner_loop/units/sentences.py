"""Text -> sentences by rule, for prose, dialogue, lists and Chinese or Japanese; no model, no language to set.

The rules err on the side of not splitting: two sentences left together cost some resolution, a cut behind "Dr." makes
a unit of nonsense.
"""

import re

from inner_loop.units.segmentation import character_starts, ranges_between

_CANDIDATE = re.compile(
    r"""(?P<stop>[.!?…。！？｡]+)["'”’»)\]」』）》*_]*"""  # a stop, and what closes with it
    r"|(?P<newline>[\n\u2028\u2029])\s*"
)
_FULL_WIDTH_STOP = re.compile("[。！？｡]")
_ELLIPSIS = re.compile(r"\.{2,}|…+")
_NEXT_WORD = re.compile(r"""\s*["'“‘«(\[*_]*(\w*)""")
_BEFORE_WORD = re.compile(r"""[\s"'“‘«(\[]""")
_GOES_ON = re.compile(r"\s+[.!?…,;:)\]]")
"""A stop or comma that stands alone belongs to the sentence before it: "good ! ?"."""
_ENUMERATOR = re.compile(r"\s*[(\[]?(?:\d{1,3}|[A-Za-z]|[ivxIVX]{1,4})")
_LIST_ITEM = re.compile(r"(?:[-*+•–—]|#{1,6}|[(\[]?(?:\d{1,3}|[A-Za-z])[.)\]])\s")

_WRAPPED_LINE = 40
"""Characters from which on a line that the next one continues in lower case counts as wrapped, not as broken."""

_LONGEST_WORD = 24
"""Characters before a stop that are looked at; no abbreviation is longer."""

_NEVER_LAST = re.compile(
    r"[md]r|mrs|ms|prof|mme|mlle|messrs|st|rev|hon|gen|capt|lt|col|sgt|gov|rep|sen|e\.?g|i\.?e|cf|vs|viz|approx"
)
_LAST_UNLESS_NUMBER_FOLLOWS = re.compile(r"nos?|figs?|eqs?|vols?|pp?|ch|sec|art|ver")
_SELDOM_LAST = re.compile(
    r"(?:[a-z]{1,2}\.)+[a-z]{1,2}"  # u.s, a.m, ph.d
    r"|[js]r|etc|al|inc|ltd|co|corp|bros|dept|est|jan|feb|mar|apr|jun|jul|aug|sept?|oct|nov|dec"
)
_FIRST_WORD = re.compile(
    r"An?|After|All|Also|And|As|At|Because|But|By|Even|For|From|He|Here?|His|How|However|I|If|In|Instead|Is|Its?|Just"
    r"|Maybe|Most|My|Now?|Not|Of|On|One|Or|Our|Overall|She|So|Some|Still|That|The|Their|Then|There|These|They|This"
    r"|Those|Though|To|Unfortunately|We|Well|What|When|Where|Which|While|Who|Why|With|Yes|Yet|Your?"
)
"""Tells a new sentence from a name, where a stop alone does not: behind "Inc." or without a space."""


def split_sentences(text: str) -> list[tuple[int, int]]:
    """Character ranges of the sentences of `text`; they partition it, each with the white space before it.

    A sentence ends at a stop (with the quotes and brackets that close there), a blank line, a new list item, and a line
    break that is no wrapped line.

    >>> text = 'Dr. No is e.g. 3.5 stars... "Really?" he asked. Yes!'
    >>> [text[start:end] for start, end in split_sentences(text)]
    ['Dr. No is e.g. 3.5 stars...', ' "Really?" he asked.', ' Yes!']
    """
    characters, visible_end = character_starts(text), len(text.rstrip())
    starts, start = [], len(text) - len(text.lstrip())
    for candidate in _CANDIDATE.finditer(text):
        end = candidate.start() if candidate["newline"] else candidate.end()
        while end > start and text[end - 1].isspace():
            end -= 1  # the white space before a line break is the next sentence's
        if start < end < visible_end and end in characters and _ends_sentence(text, start, candidate):
            starts.append(end)
            start = end
    return ranges_between(text, starts)


def _ends_sentence(text: str, start: int, candidate: re.Match[str]) -> bool:
    """Whether the sentence that begins at `start` ends at the candidate."""
    if candidate["newline"]:
        return _breaks_line(text, candidate)
    if _FULL_WIDTH_STOP.search(candidate["stop"]):
        return True
    next_word = _next_word(text, candidate.end())
    before = text[max(start, candidate.start() - _LONGEST_WORD) : candidate.start()]
    if not text[candidate.end()].isspace():
        # A space forgotten ("film.The"), unless it is a name of programmers ("torch.Tensor") or an address.
        return bool(_FIRST_WORD.fullmatch(next_word)) and before[-2:].islower() and before[-2:].isalpha()
    if _GOES_ON.match(text, candidate.end()) or _ENUMERATOR.fullmatch(text, start, candidate.start()):
        return False
    if candidate["stop"] == "." and not _word_ends_sentence(_BEFORE_WORD.split(before)[-1], next_word):
        return False
    # "wait ... what", "'Really?' he asked": the stop belongs to a part of the sentence.
    is_part = _ELLIPSIS.fullmatch(candidate["stop"]) or candidate.group() != candidate["stop"]
    return not (is_part and next_word[:1].islower())


def _word_ends_sentence(word: str, next_word: str) -> bool:
    """Whether a full stop behind `word` ends the sentence, rather than abbreviate the word."""
    lower = word.lower()
    if _NEVER_LAST.fullmatch(lower):
        return False
    if _LAST_UNLESS_NUMBER_FOLLOWS.fullmatch(lower):
        return not next_word[:1].isdigit()
    is_initial = len(word) == 1 and word.isupper() and word != "I"
    if is_initial or _SELDOM_LAST.fullmatch(lower):
        return bool(_FIRST_WORD.fullmatch(next_word))
    return True


def _breaks_line(text: str, candidate: re.Match[str]) -> bool:
    is_paragraph = len(re.findall(r"[\n\u2028\u2029]", candidate.group())) > 1
    if is_paragraph or _LIST_ITEM.match(text, candidate.end()) or not _next_word(text, candidate.end())[:1].islower():
        return True
    return candidate.start() - (text.rfind("\n", 0, candidate.start()) + 1) < _WRAPPED_LINE


def _next_word(text: str, position: int) -> str:
    match = _NEXT_WORD.match(text, position)
    return match[1] if match else ""
