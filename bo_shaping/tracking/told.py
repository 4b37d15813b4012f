"""What a tracker has been told of a study: one JSON file per tracker, so that whoever goes on repeats nothing.

It is written before a line goes out: where a tracker cannot say what it holds, a line may get lost with a process that
is killed at that moment, and never comes twice.
"""

import json
from pathlib import Path
from uuid import uuid4

from pydantic import Field, ValidationError

from inner_loop.io.atomic_file import write_atomically
from inner_loop.io.schema import StrictModel


class Told(StrictModel):
    """What was written of one trial."""

    key: str
    """Of the run, unique in the world."""
    last_steps: dict[str, int] = Field(default={})
    """The last step of each group."""
    status: str | None = None
    """How the trial had ended when all of it was written; None before that."""


class ToldFile:
    """The file of one tracker."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._trials: dict[int, Told] = {}
        try:
            content = json.loads(path.read_bytes())
            self._trials = {int(index): Told.model_validate(told) for index, told in content.items()}
        except (OSError, ValueError, AttributeError, ValidationError):
            # Missing or damaged: what the tracker says itself is then all that is known.
            self._trials = {}

    def of(self, index: int) -> Told:
        """What was written of a trial."""
        return self._trials.get(index) or Told(key=uuid4().hex[:16])

    def is_done(self, index: int, status: str) -> bool:
        """Whether all of a trial that ended like this was written."""
        told = self._trials.get(index)
        return told is not None and told.status == status

    def write(self, index: int, told: Told) -> None:
        """Write down what is known of a trial now."""
        if self._trials.get(index) != told:
            self._trials[index] = told
            content = {str(known): of.model_dump() for known, of in sorted(self._trials.items())}
            write_atomically(self._path, json.dumps(content))
