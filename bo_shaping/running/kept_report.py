"""Keeps the report of a study up to date while the study runs, in a process of its own.

A report takes seconds, and a Gaussian process of hundreds of trials takes longer. So nobody waits for it: a process of
the lowest priority, without a GPU, writes it, and whether that process fails or hangs is nothing to the trials.
"""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress

from bo_shaping.storage.records import ENDED
from bo_shaping.storage.study_folder import StudyFolder

FIRST_SECONDS = 60.0
"""A study has to run so long before its first report; a shorter run has none but on demand."""

REST = 20.0
"""After a report nothing is written for so many times as long as it took: at most one part in 21 of one core."""

MOST_SECONDS = 1800.0
"""A report that takes longer than this is given up."""

LAST_SECONDS = 120.0
"""So long the end of a run waits for the last report."""

WAIT_SECONDS = 0.05

_WRITE = "import os; os.nice(19); from bo_shaping.cli import main; main()"


class KeptReport:
    """The report of one study, written anew when trials have ended since the last time."""

    def __init__(
        self,
        folder: StudyFolder,
        *,
        command: Sequence[str] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Nothing is written before `FIRST_SECONDS` have passed.

        Args:
            folder: The study's.
            command: What writes the report; `bo-shaping report` by default.
            clock: Seconds that only grow.
        """
        self._folder = folder
        self._command = [sys.executable, "-c", _WRITE, "report", str(folder.path)] if command is None else [*command]
        self._clock = clock
        self._due = clock() + FIRST_SECONDS
        self._process: subprocess.Popen[bytes] | None = None
        self._begun = 0.0
        self._position = -1
        self._n_seen = 0
        """Trials that had ended when the last report was begun."""
        self._is_written = False
        """Whether that one was written."""

    def look(self) -> None:
        """Begin the next report if it is due, and see whether the last one has ended. Returns at once; never raises."""
        # A disk that is full, a process that cannot be started: the report is the least of it.
        with suppress(Exception):
            if self._process is not None:
                self._see_to(self._process)
            elif self._clock() >= self._due and self._folder.journal.position != self._position:
                self._position = self._folder.journal.position
                self._begin_if_new()

    def finish(self, seconds: float = LAST_SECONDS) -> str:
        """At the end of a run that was long enough to have a report: bring it up to date, and wait for it.

        Returns:
            A line for the reader: where the report is, or how to see why it is not there; empty for a short run.
        """
        if not self._n_seen:
            return ""
        with suppress(Exception):
            end = self._clock() + seconds
            self._wait(end)
            # The one that was being written may lack the last trials.
            self._begin_if_new()
            self._wait(end)
        self.close()
        if self._is_written:
            return f"Report: {self._folder.path / 'report' / 'index.html'}"
        return f"The report could not be written; see why with: bo-shaping report {self._folder.handle}"

    def close(self) -> None:
        """End the process that writes, if there is one; what it has not finished is not there."""
        if self._process is not None:
            with suppress(OSError):
                self._process.kill()
            self._process.wait()
            self._process = None

    def _begin_if_new(self) -> None:
        n_ended = sum(record.status in ENDED for record in self._folder.records())
        if n_ended > self._n_seen:
            self._n_seen, self._begun, self._is_written = n_ended, self._clock(), False
            self._process = self._start()

    def _wait(self, end: float) -> None:
        while self._process is not None and self._clock() < end:
            time.sleep(WAIT_SECONDS)
            self._see_to(self._process)

    def _see_to(self, process: "subprocess.Popen[bytes]") -> None:
        code, now = process.poll(), self._clock()
        if code is None:
            if now < self._begun + MOST_SECONDS:
                return
            self.close()
        self._process, self._is_written = None, code == 0
        self._due = now + max(REST * (now - self._begun), FIRST_SECONDS)

    def _start(self) -> "subprocess.Popen[bytes]":
        alone = {"OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": "", "PYTHONWARNINGS": "ignore"}
        paths = os.pathsep.join(filter(None, sys.path))
        # A session of its own: Ctrl-C is for the driver, which ends what it has started.
        return subprocess.Popen(  # noqa: S603 - our own module, no shell
            self._command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            env=os.environ | alone | {"PYTHONPATH": paths},
        )


@contextmanager
def kept_report(folder: StudyFolder) -> Iterator[KeptReport]:
    """A `KeptReport`; what writes it has ended when this has."""
    report = KeptReport(folder)
    try:
        yield report
    finally:
        report.close()
