"""Preference pairs as people keep them: a prompt, the answer that was chosen and the one that was rejected."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from inner_loop.errors import TaskError
from inner_loop.io.schema import nearest
from inner_loop.models.conversation import Conversation, messages_of, read_conversation
from inner_loop.models.model_source import is_written_as_path
from inner_loop.models.prompt_files import Row, is_saved_dataset, read_dataset, read_file, rows_of
from inner_loop.spec import TaskConfig

FEWEST_PAIRS = 20
"""With fewer nothing is learned, and what is held out says nothing."""

FEWEST_PROMPTS = 10
"""A study divides them: a fifth for validation."""

MOST_HELD_OUT = 1024
"""Pairs held out of a large file; more make the accuracy no more useful."""

ANSWERS = ("completion", "chosen", "response", "answer")
"""Columns in which the answer of a demonstration is looked for."""


class PrepareError(ValueError):
    """Something that nothing can be prepared from; one sentence."""


@dataclass(frozen=True)
class Pair:
    """A prompt, a text or `Conversation`, and two answers to it."""

    prompt: str
    chosen: str
    rejected: str


@dataclass(frozen=True)
class Demonstration:
    """A prompt, a text or `Conversation`, and the answer that a policy should give."""

    prompt: str
    answer: str


Example = TypeVar("Example", Pair, Demonstration)


def read_pairs(source: str, split: str | None = None) -> list[Pair]:
    """The distinct preference pairs of a file or dataset.

    A row has `prompt`, `chosen` and `rejected`: texts, which are joined as they are, or messages. Where `chosen` and
    `rejected` are whole conversations, `prompt` may be left out.

    Args:
        source: A `.jsonl`, `.csv` or `.parquet` file, a folder that `datasets` saved, or a dataset's hub name.
        split: Of a dataset; None takes `train` or the only one.

    Raises:
        PrepareError: If it cannot be read, a row cannot be used (it is named by its line), or there are too few.
    """
    pairs = list(dict.fromkeys(_pair(row) for row in _rows(source, split)))
    n_prompts = len({key(pair.prompt) for pair in pairs})
    if len(pairs) < FEWEST_PAIRS or n_prompts < FEWEST_PROMPTS:
        raise PrepareError(
            f"{source} has {len(pairs)} different pairs on {n_prompts} prompts, and at least {FEWEST_PAIRS} on "
            f"{FEWEST_PROMPTS} are needed; give more."
        )
    return pairs


def read_demonstrations(source: str, split: str | None = None) -> list[Demonstration]:
    """The distinct demonstrations of a file or dataset, as `read_pairs` reads pairs.

    A row has `prompt` and `completion` (or `chosen`, `response`, `answer`), or `messages` that end with an answer.
    """
    found = list(dict.fromkeys(_demonstration(row) for row in _rows(source, split)))
    if len(found) < FEWEST_PAIRS:
        raise PrepareError(
            f"{source} has {len(found)} different demonstrations, and at least {FEWEST_PAIRS} are needed; give more."
        )
    return found


def divide(examples: Sequence[Example], share: float, seed: int) -> tuple[list[Example], list[Example]]:
    """`(trained on, held out)`: no prompt is in both, and neither the order of a file nor the machine decides."""
    by_prompt: dict[str, list[Example]] = {}
    for example in examples:
        by_prompt.setdefault(key(example.prompt), []).append(example)
    wanted = min(max(1, round(share * len(examples))), MOST_HELD_OUT)
    trained: list[Example] = []
    heldout: list[Example] = []
    for prompt in sorted(by_prompt, key=lambda prompt: hashlib.sha256(f"{seed}:{prompt}".encode()).digest()):
        (heldout if len(heldout) < wanted else trained).extend(by_prompt[prompt])
    return trained, heldout


def key(prompt: str) -> str:
    """The same for prompts that are the same but for white space around them."""
    if isinstance(prompt, Conversation):
        return json.dumps([[message["role"], message["content"].strip()] for message in prompt.messages])
    return prompt.strip()


def as_row(prompt: str) -> dict[str, Any]:
    """A prompt as a line of a study's prompts."""
    return {"prompt": list(map(dict, messages_of(prompt))) if isinstance(prompt, Conversation) else prompt}


def _rows(source: str, split: str | None) -> list[Row]:
    path = Path(source).expanduser()
    try:
        if path.is_file():
            return read_file(path)
        if is_written_as_path(source) and not is_saved_dataset(path):
            raise PrepareError(f"There is no file {source}; give a .jsonl, .csv or .parquet file, or a dataset's name.")
        dataset = read_dataset(TaskConfig(prompts=source))
    except TaskError as error:
        raise PrepareError(_without_field(error)) from error
    wanted = split or ("train" if "train" in dataset else next(iter(dataset)) if len(dataset) == 1 else None)
    if wanted not in dataset:
        raise PrepareError(f"{source} has the splits {', '.join(dataset)}; name one of them with --split.")
    return rows_of(dataset[wanted], f"{source}, {wanted}")


def _without_field(error: TaskError) -> str:
    """What the readers of a study's prompts say, who name its configuration."""
    return str(error).removeprefix("task.prompts").removeprefix(":").strip()


def _pair(row: Row) -> Pair:
    sides = {name: _answer(row, name) for name in ("chosen", "rejected")}
    (before, chosen), (before_rejected, rejected) = sides["chosen"], sides["rejected"]
    if before != before_rejected:
        raise PrepareError(
            f"{row.where}: the conversations before the chosen and the rejected answer differ, and a pair answers the "
            "same one; make them the same, or remove the line."
        )
    if chosen == rejected:
        raise PrepareError(f"{row.where}: the chosen and the rejected answer are the same; remove the line.")
    return Pair(_prompt(row, before, both_are_messages=_are_messages(row, *sides)), chosen, rejected)


def _demonstration(row: Row) -> Demonstration:
    if "messages" in row.columns:
        before, answer = _answer(row, "messages")
        return Demonstration(_prompt(row, before, both_are_messages=True), answer)
    name = next((name for name in ANSWERS if name in row.columns), ANSWERS[0])
    before, answer = _answer(row, name)
    return Demonstration(_prompt(row, before, both_are_messages=_are_messages(row, name)), answer)


def _are_messages(row: Row, *names: str) -> bool:
    return all(isinstance(row.columns[name], list) for name in names)


def _column(row: Row, name: str) -> Any:
    if row.columns.get(name) is not None:
        return row.columns[name]
    there = [str(column) for column in row.columns]
    hint = f", did you mean {nearest(name, there)!r}? It has {', '.join(there)}" if there else ""
    raise PrepareError(f"{row.where} has no {name!r}{hint}.")


def _answer(row: Row, name: str) -> tuple[tuple[Mapping[str, Any], ...], str]:
    """The messages before an answer, if it is given as messages, and its text."""
    content = _column(row, name)
    before: tuple[Mapping[str, Any], ...] = ()
    if isinstance(content, list):
        last = content[-1] if content else None
        if not isinstance(last, Mapping) or last.get("role") != "assistant":
            raise PrepareError(f"{row.where}: the messages of {name!r} do not end with an answer of the assistant.")
        if len(content) > 1:
            before = _conversation(row, content[:-1]).messages
        content = last.get("content")
        if isinstance(content, list):  # in parts
            content = _conversation(row, [{"role": "user", "content": content}]).messages[0]["content"]
    if not isinstance(content, str):
        raise PrepareError(
            f"{row.where} has {str(content)[:40]!r} as {name!r} where a text or a list of messages was expected."
        )
    if not content.strip():
        raise PrepareError(f"{row.where}: {name!r} is empty; remove the line or write an answer.")
    return before, content


def _prompt(row: Row, before: tuple[Mapping[str, Any], ...], *, both_are_messages: bool) -> str:
    given = row.columns.get("prompt")
    if given is None and before:
        return Conversation(before)
    given = _column(row, "prompt")
    if isinstance(given, list):
        prompt = _conversation(row, given)
    elif not isinstance(given, str):
        raise PrepareError(f"{row.where} has {str(given)[:40]!r} as 'prompt' where a text or messages were expected.")
    elif not given.strip():
        raise PrepareError(f"{row.where} is an empty prompt; remove the line or write one.")
    elif not both_are_messages:
        return given
    else:
        # Beside whole conversations, as some datasets have it, the prompt is the user's message in them.
        prompt = Conversation(before or [{"role": "user", "content": given}])
        if key(prompt) != key(Conversation(prompt.with_last(given).messages)):
            raise PrepareError(f"{row.where}: the conversation before the answers does not end with its prompt.")
    if before and key(prompt) != key(Conversation(before)):
        raise PrepareError(f"{row.where}: the conversation before the answers is not its prompt.")
    return prompt


def _conversation(row: Row, messages: Sequence[Any]) -> Conversation:
    try:
        return read_conversation(messages, row.where)
    except TaskError as error:
        raise PrepareError(_without_field(error)) from error
