"""The folder through which trials and the detached workers of one machine meet.

workers/queue/0003   a trial that wants a worker: the path of its folder
workers/NAME.lock    locked for as long as the worker NAME lives
workers/NAME.json    which trial it has in hand
workers/NAME.beat    its heartbeat
workers/NAME.log     what it printed outside trials
workers/in_use.lock  locked, shared, by every executor that may still have trials
"""

import fcntl
import uuid
from contextlib import suppress
from pathlib import Path
from typing import IO

from pydantic import ValidationError

from bo_shaping.executors.processes import has_certainly_ended
from bo_shaping.storage.file_locks import is_held, keep_from_children, try_hold
from bo_shaping.storage.trial_folder import TrialFolder, Worker
from inner_loop.io.atomic_file import write_atomically
from inner_loop.io.schema import StrictModel

_PASSING = (".lock", ".json", ".beat")
"""Files that mean nothing without their worker."""


class InHand(StrictModel):
    """Content of `NAME.json`."""

    worker: Worker
    trial: str | None
    """Path of the trial folder that the worker reaches for or works on. It has it if it holds its lock."""


class Seat:
    """The files of one worker."""

    def __init__(self, folder: Path, name: str) -> None:
        self.lock_file = folder / f"{name}.lock"
        self.beat_file = folder / f"{name}.beat"
        self.log_file = folder / f"{name}.log"
        self._in_hand = folder / f"{name}.json"

    def in_hand(self) -> InHand | None:
        """What the worker is doing; None before it has begun."""
        try:
            return InHand.model_validate_json(self._in_hand.read_bytes())
        except (OSError, ValidationError):
            return None

    def is_taken(self) -> bool:
        """Whether its worker lives."""
        return is_held(self.lock_file) and not self.is_deserted()

    def is_deserted(self) -> bool:
        """Whether the worker has ended although its lock is held: by something that it left behind."""
        in_hand = self.in_hand()
        return in_hand is not None and has_certainly_ended(in_hand.worker)

    def write_in_hand(self, in_hand: InHand) -> None:
        """Say what the worker is doing."""
        write_atomically(self._in_hand, in_hand.model_dump_json())

    def trial(self) -> TrialFolder | None:
        """The trial that keeps the worker busy, or None: not one that it only reaches for, which another may have."""
        in_hand = self.in_hand()
        if in_hand is None or in_hand.trial is None:
            return None
        trial = TrialFolder(Path(in_hand.trial))
        # With the result in place the worker is as good as free: the next trial can wait for it.
        if trial.is_done():
            return None
        holder = trial.worker()
        return trial if holder is not None and holder.is_same(in_hand.worker) else None

    def last_words(self) -> str:
        """What the worker said last outside trials, in one line."""
        try:
            lines = self.log_file.read_text(encoding="utf-8", errors="replace").split("\n")
        except OSError:
            lines = []
        return next((line.strip() for line in reversed(lines) if line.strip()), "it said nothing")

    def clear(self) -> None:
        """Remove what a worker that has ended left; its log only if there is nothing in it."""
        for suffix in _PASSING:
            self.lock_file.with_suffix(suffix).unlink(missing_ok=True)
        with suppress(OSError):
            if self.log_file.stat().st_size == 0:
                self.log_file.unlink()


class Pool:
    """Typed access to the folder."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._queue = path / "queue"
        self._in_use = path / "in_use.lock"

    def open(self) -> IO[bytes]:
        """Make the folder, and say that it is in use for as long as the returned file is open in this process."""
        self._queue.mkdir(parents=True, exist_ok=True)
        file = self._in_use.open("ab")
        fcntl.flock(file, fcntl.LOCK_SH)
        keep_from_children(file)
        return file

    def is_in_use(self, attempts: int = 10) -> bool:
        """Whether an executor is left that may start trials. True by mistake if somebody else asks at each attempt."""
        with self._in_use.open("ab") as file:
            return not try_hold(file, attempts)

    def new_seat(self) -> Seat:
        """A place for one more worker."""
        return Seat(self._path, uuid.uuid4().hex[:12])

    def seat(self, name: str) -> Seat:
        """The place of that name."""
        return Seat(self._path, name)

    def seats(self) -> list[Seat]:
        """The places of the workers that live."""
        return [seat for seat in self._all_seats() if seat.is_taken()]

    def clear_away(self) -> None:
        """Remove what workers that have ended left. Only who drives the study may: it reads there how they ended."""
        for seat in self._all_seats():
            if not seat.is_taken():
                seat.clear()

    def _all_seats(self) -> list[Seat]:
        return [Seat(self._path, file.stem) for file in sorted(self._path.glob("*.lock")) if file != self._in_use]

    def enqueue(self, trial: TrialFolder) -> None:
        """Put a trial where a free worker takes it."""
        write_atomically(self._entry(trial), str(trial.path.resolve()))

    def dequeue(self, trial: TrialFolder) -> None:
        """Take a trial out again, if it is still there."""
        self._entry(trial).unlink(missing_ok=True)

    def is_queued(self, trial: TrialFolder) -> bool:
        """Whether the trial waits for a worker: it, not the one that it is a copy of."""
        queued = self._queued(self._entry(trial))
        return queued is not None and queued.path == trial.path.resolve()

    def waiting(self) -> list[TrialFolder]:
        """The trials that wait for a worker, oldest first by name; those that somebody works on do not wait."""
        queued = (self._queued(entry) for entry in sorted(self._queue.glob("[!.]*")))
        return [trial for trial in queued if trial is not None and trial.path.is_dir() and not trial.is_locked()]

    def _queued(self, entry: Path) -> TrialFolder | None:
        """The trial of an entry; None if it has gone, is damaged, or was made before the study was moved or copied."""
        try:
            path = Path(entry.read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError):
            return None
        return TrialFolder(path) if path.is_relative_to(self._path.parent.resolve()) else None

    def _entry(self, trial: TrialFolder) -> Path:
        return self._queue / trial.path.name
