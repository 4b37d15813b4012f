"""What every tracker is to the study: something that opens runs."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from bo_shaping.tracking.lines import Line


@dataclass(frozen=True)
class RunHead:
    """Which run to open."""

    study: str
    """Groups the runs: the tracker's project or experiment."""
    name: str
    """Of the run, unique within the study."""
    key: str
    """Of the run, unique in the world: where a run is found again by an id."""
    config: Mapping[str, str | int | float]
    """Weights and training parameters of the trial."""


class Run(Protocol):
    """The run of one trial."""

    def last_steps(self) -> dict[str, int] | None:
        """The last step of each group that is there already; None if that cannot be read."""

    def write(self, line: Line) -> None:
        """Add one line."""

    def flush(self) -> None:
        """Bring what was written to where it outlasts this process, as far as the tracker can."""

    def close(self) -> None:
        """The trial has ended, or this process does."""


class Tracker(Protocol):
    """One tracker, for all trials of a study."""

    is_live: bool
    """Whether several of its runs can be open at a time. Others are written whole, once their trial has ended."""
    is_readable: bool
    """Whether a run can say what it holds already."""

    def open(self, head: RunHead) -> Run:
        """Begin a run, or go on with it."""
