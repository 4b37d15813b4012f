"""Where the prompts of a task come from, and which of them train, validate and are held out."""

import hashlib
import json
from functools import cached_property
from importlib.resources import files
from pathlib import Path
from typing import Any

from inner_loop.errors import TaskError
from inner_loop.io.schema import nearest
from inner_loop.models.conversation import Conversation, read_conversation
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


class PromptSource:
    """The prompts of a task, as texts and conversations, before any tokenizer.

    Args:
        config: Names them.
    """

    def __init__(self, config: TaskConfig) -> None:
        self._config = config
        self.n_repeated = 0
        """Prompts left out of what was divided, since they stood there before."""
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
            return [self._prompt(row) for row in rows_of(dataset[split], f"{self._config.prompts}, {split}")]

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
        distinct = {_key(prompt): prompt for prompt in reversed(prompts)}
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
        ordered = sorted(prompts, key=lambda prompt: hashlib.sha256((seed + _key(prompt)).encode()).digest())
        return ordered[: self._config.prompts_size]

    def _prompt(self, row: Row) -> str:
        content = row.columns.get(self._column(row))
        if isinstance(content, str):
            if not content.strip():
                raise TaskError(f"task.prompts: {row.where} is an empty prompt; remove it or write one.")
            return content
        if isinstance(content, list):
            return read_conversation(content, row.where)
        raise TaskError(
            f"task.prompts: {row.where} has {str(content)[:40]!r} in its column {self._column(row)!r} where a text or "
            "a list of messages was expected."
        )

    def _column(self, row: Row) -> str:
        wanted, there = self._config.prompts_column, row.columns
        if wanted is not None and wanted not in there:
            raise TaskError(
                f"task.prompts_column: {row.where} has no column {wanted!r}, did you mean "
                f"{nearest(wanted, list(map(str, there)))!r}? It has {', '.join(map(str, there))}."
            )
        found = wanted or next((name for name in COLUMNS if name in there), None)
        if found is None and len(there) == 1:
            found = next(iter(there))
        if found is None:
            raise TaskError(
                f"task.prompts: {row.where} has no column prompt or messages; say with task.prompts_column which of "
                f"its columns holds the prompts: {', '.join(map(str, there))}."
            )
        return found


def _key(prompt: str) -> str:
    """The same for prompts that are the same but for white space around them."""
    if isinstance(prompt, Conversation):
        return json.dumps([dict(message) for message in prompt.messages], sort_keys=True, default=str)
    return prompt.strip()
