"""Where the prompts of a task come from, and which of them train, validate and are held out."""

import hashlib
import json
import re
from collections.abc import Sequence
from functools import cached_property
from importlib.resources import files
from pathlib import Path
from typing import Any

from inner_loop.errors import TaskError
from inner_loop.io.schema import nearest
from inner_loop.models.conversation import check_characters, identity, read_conversation
from inner_loop.models.model_source import EMBEDDED, is_written_as_path
from inner_loop.models.prompt_files import READERS, Row, is_saved_dataset, read_dataset, read_file, rows_of
from inner_loop.spec import TaskConfig

SHARE = 5
"""One in so many prompts is for validation, and as many are held out, where one file has to do for all."""

MOST_JUDGED = 1024
"""And no more than so many each: nobody judges on more, and the rest had better train."""

COLUMNS = ("prompt", "messages")
"""Where prompts are looked for."""

HELD_OUT = ("heldout", "test")
"""Names of a split that is held out."""

_WRITTEN_MESSAGES = re.compile(r"\s*\[\s*\{.*['\"]role['\"]\s*:", re.DOTALL)
"""How a list of messages begins in a file that has texts only."""


class PromptSource:
    """The prompts of a task, as texts and conversations, before any tokenizer.

    Args:
        config: Names them.
    """

    def __init__(self, config: TaskConfig) -> None:
        self._config = config
        self.n_repeated = 0
        """Prompts left out of what was divided, since they stood there before."""
        self.is_divided = False
        """Whether one file or split had to do for all, known once it was read."""
        path = files("inner_loop") / "embedded" / "prompts" if config.prompts == EMBEDDED else config.prompts
        self._path = Path(str(path)).expanduser()

    def split(self, name: str) -> list[str]:
        """The prompts of `train`, `validation` or `heldout`.

        Raises:
            TaskError: If there are none, or one of them cannot be used; the message names its line or row.
        """
        if self._path.is_dir() and not is_saved_dataset(self._path):
            prompts = [self._prompt(row) for row in read_file(self._file_of(name))]
            if name == "train" and self._config.prompts_size is not None:
                prompts = self._taken(prompts)
        else:
            prompts = self._splits[name]
        if not prompts and self.is_divided:
            raise TaskError(
                f"task.prompts: {self._config.prompts!r} is divided for training and judging, and has too few prompts "
                f"for its {name} split: at least {SHARE} different ones are needed."
            )
        if not prompts:
            raise TaskError(f"task.prompts: {self._config.prompts!r} holds no prompts for its {name} split.")
        return prompts

    def _file_of(self, split: str) -> Path:
        found = [path for end in READERS if (path := self._path / f"{split}{end}").is_file()]
        if not found:
            raise TaskError(
                f"task.prompts: there is no file {str(self._path / split)!r} that ends in {', '.join(READERS)}; a "
                "folder has one for train, validation and whatever else is asked for. A single file is divided instead."
            )
        return found[0]

    @cached_property
    def _splits(self) -> dict[str, list[str]]:
        if self._path.is_file():
            return self._divided([self._prompt(row) for row in read_file(self._path)])
        if not self._path.exists() and is_written_as_path(self._config.prompts):
            raise TaskError(f"task.prompts: there is no file or folder at {self._config.prompts!r}.")
        return self._splits_of(read_dataset(self._config))

    def _splits_of(self, dataset: dict[str, Any]) -> dict[str, list[str]]:
        """Those of a dataset as they are if it has prompts for validation, else one of its splits, divided."""
        wanted = self._config.prompts_split
        if wanted is not None and wanted not in dataset:
            raise TaskError(
                f"task.prompts_split: {self._config.prompts!r} has no split {wanted!r}, did you mean "
                f"{nearest(wanted, list(dataset))!r}? It has {', '.join(dataset)}."
            )

        def read(split: str) -> list[str]:
            name, rows = f"{self._config.prompts}, {split}", dataset[split]
            column = self._column(rows.column_names, name)
            return [self._prompt(row) for row in rows_of(rows.select_columns([column]), name)]

        if wanted is None and {"train", "validation"} <= dataset.keys():
            heldout = next((name for name in HELD_OUT if name in dataset), None)
            return {
                "train": self._taken(read("train")),
                "validation": read("validation"),
                "heldout": [] if heldout is None else read(heldout),
            }
        only = wanted or ("train" if "train" in dataset else next(iter(dataset)) if len(dataset) == 1 else None)
        if only is None:
            raise TaskError(
                f"task.prompts_split: name one of the splits of {self._config.prompts!r}: {', '.join(dataset)}."
            )
        return self._divided(read(only))

    def _divided(self, prompts: list[str]) -> dict[str, list[str]]:
        """By a seed and the prompts alone, so that neither the order of a file nor another machine changes it."""
        self.is_divided = True
        distinct = {identity(prompt): prompt for prompt in reversed(prompts)}
        self.n_repeated = len(prompts) - len(distinct)
        taken = self._taken(list(distinct.values()))
        n_judged = min(len(taken) // SHARE, MOST_JUDGED)
        return {
            "validation": taken[:n_judged],
            "heldout": taken[n_judged : 2 * n_judged],
            "train": taken[2 * n_judged :],
        }

    def _taken(self, prompts: list[str]) -> list[str]:
        """In an order that the seed decides, at most `prompts_size`."""
        seed = f"{self._config.prompts_seed}:"
        ordered = sorted(prompts, key=lambda prompt: hashlib.sha256((seed + identity(prompt)).encode()).digest())
        return ordered[: self._config.prompts_size]

    def _prompt(self, row: Row) -> str:
        column = self._column(list(row.columns), row.where)
        content = _read_messages(row.columns[column], row.where)
        if isinstance(content, str):
            if not content.strip():
                raise TaskError(f"task.prompts: {row.where} is an empty prompt; remove it or write one.")
            return check_characters(content, row.where)
        if isinstance(content, list):
            return read_conversation(content, row.where)
        raise TaskError(
            f"task.prompts: {row.where} has {str(content)[:40]!r} in its column {column!r} where a text or a list of "
            "messages was expected."
        )

    def _column(self, there: Sequence[str], where: str) -> str:
        wanted = self._config.prompts_column
        if wanted is not None and wanted not in there:
            raise TaskError(
                f"task.prompts_column: {where} has no column {wanted!r}, did you mean "
                f"{nearest(wanted, list(map(str, there)))!r}? It has {', '.join(map(str, there))}."
            )
        found = wanted or next((name for name in COLUMNS if name in there), None)
        if found is None and len(there) == 1:
            found = there[0]
        if found is None:
            raise TaskError(
                f"task.prompts: {where} has no column prompt or messages; say with task.prompts_column which of "
                f"its columns holds the prompts: {', '.join(map(str, there))}."
            )
        return found


def _read_messages(content: Any, where: str) -> Any:
    """The content of a column; messages where they are written as JSON, which is all that a CSV file can hold."""
    if not isinstance(content, str) or not _WRITTEN_MESSAGES.match(content):
        return content
    try:
        return json.loads(content)
    except json.JSONDecodeError as error:
        raise TaskError(
            f"task.prompts: {where} seems to hold messages, but not as JSON; write them as a JSON list, or save the "
            "data as JSON Lines or Parquet, which keep lists."
        ) from error
