"""A response of several turns -> one unit per turn of the model, by the marks that chat templates put between turns."""

import re

from inner_loop.units.segmentation import ranges_between

_ROLE = r"(?P<role{}>system|user|human|tool|ipython|function|observation|environment|assistant|model|bot|ai)"

_MARKS = re.compile(
    "|".join(
        [
            r"<\|im_start\|>" + _ROLE.format(1),  # ChatML: Qwen, SmolLM, Hermes
            r"<\|start_header_id\|>" + _ROLE.format(2) + r"<\|end_header_id\|>",  # Llama 3
            r"<start_of_turn>" + _ROLE.format(3),  # Gemma
            r"<\|" + _ROLE.format(4) + r"\|>",  # Zephyr, Phi, GLM
            r"(?m:^)(?:###\s*)?" + _ROLE.format(5) + ":",  # plain transcripts
        ]
    ),
    re.IGNORECASE,
)

_OWN = frozenset({"assistant", "model", "bot", "ai"})
"""Roles of the model that wrote the response."""


def split_turns(text: str) -> list[tuple[int, int]]:
    r"""Character ranges of the turns of the model, each with what it was told before.

    A response begins with a turn of the model. A unit ends where the model's turn ends, so that its credit falls on a
    token that the model wrote and not on a user's or a tool's. A text without marks is one turn.

    >>> text = "I look it up.\nuser: It says 7.\nassistant: So it is 7."
    >>> [text[start:end] for start, end in split_turns(text)]
    ['I look it up.', '\nuser: It says 7.\nassistant: So it is 7.']
    """
    starts, is_own = [], True
    for mark in _MARKS.finditer(text):
        role = next(value for value in mark.groupdict().values() if value is not None).lower()
        if is_own and role not in _OWN and text[: mark.start()].strip():
            starts.append(len(text[: mark.start()].rstrip()))
        is_own = role in _OWN
    if not is_own and starts:
        starts.pop()  # what nobody answered belongs to the turn before it
    return ranges_between(text, starts)
