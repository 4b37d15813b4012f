"""Keeps one tracker up to date with a study, in a thread of its own: whatever it does, the study does not wait."""

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from bo_shaping.config import StudyConfig
from bo_shaping.errors import TrialResultError
from bo_shaping.storage.records import Entry
from bo_shaping.storage.study_folder import StudyFolder
from bo_shaping.tracking.lines import ENDED, Line, last_steps, lines_of, missing, run_config, run_name
from bo_shaping.tracking.making import make_tracker
from bo_shaping.tracking.told import Told, ToldFile
from bo_shaping.tracking.tracker import Run, RunHead, Tracker
from inner_loop.spec import TrialResult

LOOK_SECONDS = 2.0
"""How often running trials are looked at."""
REST_SECONDS = 60.0
"""How long a tracker that failed is left alone."""


class Follower:
    """One tracker of one study.

    Args:
        name: The tracker.
        folder: The study.
        config: Its configuration.
    """

    def __init__(self, name: str, folder: StudyFolder, config: StudyConfig) -> None:
        self.name = name
        self.trouble: str | None = None
        """What went wrong last, in one line; None if nothing did."""
        self._folder, self._config = folder, config
        self._path: Path = folder.path / "tracking"
        self._entries: Mapping[int, Entry] = {}
        self._runs: dict[int, Run] = {}
        self._sizes: dict[int, int] = {}
        self._tracker: Tracker | None = None
        self._told = ToldFile(self._path / f"{name}.json")
        self._wake, self._is_closing = threading.Event(), False
        self._rests_until = 0.0
        self._thread = threading.Thread(target=self._follow, name=f"tracking {name}", daemon=True)

    def look(self, entries: Mapping[int, Entry], is_new: bool) -> None:
        """Say how the trials stand; returns at once."""
        self._entries = entries
        if is_new:
            self._wake.set()
        if not self._thread.is_alive() and not self._is_closing:
            self._thread.start()

    def begin_to_close(self) -> None:
        """Let it write what is left, and end."""
        self._is_closing = True
        self._wake.set()

    def has_ended(self, seconds: float) -> bool:
        """Wait for its end, but not longer than so many seconds."""
        if self._thread.ident is not None:
            self._thread.join(max(seconds, 0.0))
        return not self._thread.is_alive()

    def _follow(self) -> None:
        while True:
            self._wake.wait(LOOK_SECONDS)
            self._wake.clear()
            is_last = self._is_closing
            if is_last or time.monotonic() >= self._rests_until:
                self._try_to_catch_up()
            if is_last:
                break
        for run in self._runs.values():
            self._try(run.close)

    def _try(self, action: Callable[[], None]) -> None:
        try:
            action()
        except Exception as error:
            self._note(error)

    def _note(self, error: Exception) -> None:
        text = " ".join(str(error).split()) or "no message"
        self.trouble = f"{type(error).__name__}: {text}"[:300]
        self._rests_until = time.monotonic() + REST_SECONDS

    def _try_to_catch_up(self) -> None:
        try:
            if self._tracker is None:
                self._tracker = make_tracker(self.name, self._path, self._config.tracking[self.name])
        except Exception as error:
            self._note(error)
            return
        for index, entry in self._entries.items():
            try:
                self._write(index, entry, self._tracker)
            except Exception as error:
                self._note(error)
                # A run that failed is opened anew another time; the other trials would most likely fail, too.
                self._runs.pop(index, None)
                self._sizes.pop(index, None)
                return

    def _write(self, index: int, entry: Entry, tracker: Tracker) -> None:
        """Bring the run of one trial up to date."""
        status, told_file = entry.record.status, self._told
        has_ended = status in ENDED
        if status == "asked" or (has_ended and told_file.is_done(index, status)):
            return
        if not has_ended and (not tracker.is_live or not self._has_grown(index)):
            return
        trial = self._folder.trial(index)
        lines = lines_of(entry, trial.events(), self._results(index) if status == "completed" else [])
        told = told_file.of(index)
        run = self._runs.get(index)
        if run is None:
            if has_ended and not tracker.is_readable and not missing(lines, told.last_steps):
                # All was written, and the process killed before it could say so.
                told_file.write(index, told.model_copy(update={"status": status}))
                return
            # Written down before the run exists, so that it is found again.
            told_file.write(index, told)
            head = RunHead(self._config.name, run_name(index), told.key, run_config(self._config, entry.record))
            run = self._runs[index] = tracker.open(head)
            seen = run.last_steps()
            if seen is not None:
                told = told.model_copy(update={"last_steps": seen})
        new, before, n_written = missing(lines, told.last_steps), told, 0
        told = _told_of(before, new)
        told_file.write(index, told)
        try:
            for line in new:
                run.write(line)
                n_written += 1
            run.flush()
        except Exception:
            told_file.write(index, _told_of(before, new[:n_written]))
            raise
        if has_ended:
            run.close()
            del self._runs[index]
            told_file.write(index, told.model_copy(update={"status": status}))

    def _has_grown(self, index: int) -> bool:
        size = self._folder.trial(index).progress_size()
        if size == self._sizes.get(index, 0):
            return False
        self._sizes[index] = size
        return True

    def _results(self, index: int) -> list[TrialResult]:
        trial = self._folder.trial(index)
        try:
            return trial.results() if trial.has_result() else []
        except TrialResultError:
            return []


def _told_of(before: Told, written: Sequence[Line]) -> Told:
    return before.model_copy(update={"last_steps": before.last_steps | last_steps(written), "status": None})
