"""A study's folder as the dashboard sees it: read again only where it changed, its database left alone."""

import os
import socket
import threading
import time
from pathlib import Path

from pydantic import ValidationError

from bo_shaping.config import StudyConfig
from bo_shaping.errors import StorageError, TrialResultError
from bo_shaping.storage.mean_curve import mean_curve
from bo_shaping.storage.study_folder import SILENT_SECONDS, StudyFolder
from inner_loop.spec import CurvePoint

Stamp = tuple[object, ...]
"""Equal to an earlier one as long as nothing has changed."""


class WatchedFolder(StudyFolder):
    """A folder that is looked at again and again.

    The configuration is the one that the journal holds, which names no database: nothing that is handed this folder can
    ask one, and the password of a server is not there to be shown.
    """

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.lock = threading.RLock()
        """Held by whoever reads: several requests may look at one study at the same time."""
        self._config: tuple[Stamp, StudyConfig] | None = None
        self._curves: dict[int, tuple[Stamp, list[CurvePoint]]] = {}

    @property
    def handle(self) -> str:
        """The name of the study: pages may be shown to others, whom its place on this machine does not concern."""
        return self.path.name

    def config(self) -> StudyConfig:
        """The configuration in force. Raises `ConfigError` or `StorageError` if it cannot be read."""
        self.journal.read()
        written = self.journal.config
        stamp: Stamp = (self.journal.position,) if written is not None else (file_stamp(self.config_file),)
        if self._config is None or self._config[0] != stamp:
            if written is None:
                config = super().config().model_copy(update={"storage": None})
            else:
                try:
                    config = StudyConfig.model_validate(written)
                except ValidationError:
                    raise StorageError(
                        f"The configuration in {self.journal.path} is of another version of bo-shaping; update it here."
                    ) from None
            self._config = (stamp, config)
        return self._config[1]

    def driver(self) -> str | None:
        """Who drives the study now: here, as far as the lock says; elsewhere, if its lock was touched lately."""
        if (here := super().driver()) is not None:
            return here
        try:
            age = time.time() - self._lock_file.stat().st_mtime
            name = self._lock_file.read_text(encoding="utf-8", errors="replace").strip()
        except OSError:
            return None
        is_elsewhere = " on " in name and not name.endswith(f" on {socket.gethostname()}")
        return name if is_elsewhere and abs(age) < SILENT_SECONDS else None

    def running(self) -> list[int]:
        """The trials that the journal holds to be running."""
        return [record.index for record in self.records() if record.status == "running"]

    def stamp(self) -> Stamp:
        """Another one once anything has changed that a list of studies shows."""
        files = (self.journal.path, self.config_file, self.best_file, self.notes_file)
        with self.lock:
            return (*map(file_stamp, files), self.driver())

    def live_stamp(self) -> Stamp:
        """Another one once anything has changed at all, the progress of running trials included."""
        with self.lock:
            trials = [self.trial(index) for index in self.running()]
            progress = [(trial.is_locked(), file_stamp(trial.path / "progress.jsonl")) for trial in trials]
            return (*self.stamp(), *progress)

    def known_curves(self) -> dict[int, list[CurvePoint]]:
        """As `curves`, where files that have not changed are not read again."""
        curves: dict[int, list[CurvePoint]] = {}
        for record in self.records():
            if record.status not in ("completed", "stopped"):
                continue
            folder = self.trial(record.index).path
            stamp = (file_stamp(folder / "result.json"), file_stamp(folder / "progress.jsonl"))
            known = self._curves.get(record.index)
            if known is None or known[0] != stamp:
                known = (stamp, self._curve(record.index, record.status == "completed"))
                self._curves[record.index] = known
            if known[1]:
                curves[record.index] = known[1]
        return curves

    def running_curves(self) -> dict[int, list[CurvePoint]]:
        """The curves of trials that have not ended, as far as they are."""
        curves = {index: self.trial(index).curve() for index in self.running()}
        return {index: curve for index, curve in curves.items() if curve}

    def _curve(self, index: int, is_completed: bool) -> list[CurvePoint]:
        if not is_completed:
            return self.trial(index).curve()
        trial = self.trial(index)
        try:
            return mean_curve([result.curve for result in trial.results()]) if trial.has_result() else []
        except TrialResultError:
            return []


def file_stamp(path: Path) -> Stamp:
    """Another one once the file was written."""
    try:
        status = os.stat(path)
    except OSError:
        return ()
    return (status.st_ino, status.st_size, status.st_mtime_ns)
