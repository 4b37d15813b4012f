"""Bugs that were there, or would be there if somebody simplified: each is put back as a patch, and must be found."""

import json
import os
import stat
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

from bo_shaping.executors import TrialState, pool_worker
from bo_shaping.executors.heartbeat import beating
from bo_shaping.executors.observer import Observer
from bo_shaping.executors.pool import Pool, Seat
from bo_shaping.executors.process import ProcessExecutor
from bo_shaping.running.driver import Driver
from bo_shaping.storage import file_locks, lease_holder
from bo_shaping.storage.journal import Journal, _crc
from bo_shaping.storage.lease_holder import Holder
from bo_shaping.storage.study_folder import StudyFolder
from bo_shaping.storage.trial_folder import Job, Outcome, TrialFolder, Worker
from inner_loop.io import atomic_file
from inner_loop.spec import TrialResult

Bug = Callable[[], Any]


def _replaced(*replacements: tuple[Any, str, Any]) -> ExitStack:
    stack = ExitStack()
    for where, name, value in replacements:
        stack.enter_context(patch.object(where, name, value))
    return stack


def the_dead_are_those_for_whom_no_worker_is_free() -> ExitStack:
    """The race of the first quickstart: a worker that only reaches for a trial counts as busy with it."""

    def said_to_be_busy(seat: Seat) -> str | None:
        in_hand = seat.in_hand()
        return None if in_hand is None else in_hand.trial

    def is_expected(self: ProcessExecutor, folder: TrialFolder) -> bool:
        if not self._pool.is_queued(folder):
            return False
        here = str(folder.path.resolve())
        if any(said_to_be_busy(seat) in (None, here) for seat in self._pool.seats()) or folder.is_locked():
            return True
        if folder.path not in self._started_for:
            self._see_to(folder)
            return True
        self._pool.dequeue(folder)
        return False

    return _replaced((ProcessExecutor, "_is_expected", is_expected))


def the_result_is_looked_for_before_the_lock() -> ExitStack:
    """A trial that ends between the two looks has no result, and nobody works on it; and there is no third look."""

    def state(self: Observer, folder: TrialFolder, is_expected: Callable[[], bool]) -> TrialState:
        if folder.has_result():
            return "finished"
        if folder.has_failed():
            return "failed"
        is_running = is_expected() or folder.is_locked()
        if is_running and self._hangs(folder):
            return "hung"
        return "running" if is_running else "dead"

    def try_again(self: Driver, index: int, trial: TrialFolder) -> None:
        entry = self._ledger.entries[index]
        update = {"attempt": entry.record.attempt + 1, "earlier": (*entry.record.earlier, "dead")}
        self._ledger.write(entry.model_copy(update={"record": entry.record.model_copy(update=update)}))
        self._start(index)

    return _replaced((Observer, "state", state), (Driver, "_try_again", try_again))


def a_worker_dequeues_before_it_locks() -> ExitStack:
    """Between the two, the trial waits for nobody and nobody works on it."""

    def take(pool: Pool, trial: TrialFolder, me: Worker) -> bool:
        pool.dequeue(trial)
        with trial.locked(me) as is_mine:
            if is_mine and not trial.is_done():
                _train(trial)
            return is_mine

    return _replaced((pool_worker, "_take", take))


def a_worker_does_not_look_again_under_the_lock() -> ExitStack:
    """A trial that was taken and finished since the queue was listed is trained again."""

    def take(pool: Pool, trial: TrialFolder, me: Worker) -> bool:
        with trial.locked(me) as is_mine:
            if is_mine:
                pool.dequeue(trial)
                _train(trial)
            return is_mine

    return _replaced((pool_worker, "_take", take))


def _train(trial: TrialFolder) -> None:
    with beating(trial.heartbeat_file):
        pool_worker._work_on(trial)


def results_are_written_in_place() -> ExitStack:
    """The driver reads one that is half written."""

    def write_results(self: TrialFolder, token: str, results: list[TrialResult]) -> None:
        self._result.write_text(Outcome(token=token, results=results).model_dump_json())

    return _replaced((TrialFolder, "write_results", write_results))


def a_driver_does_not_notice_that_it_was_replaced() -> ExitStack:
    """One that was stopped for long writes on when it wakes."""
    return _replaced((Journal, "refuse_replaced", lambda self: None))


def a_request_to_stop_means_whoever_drives() -> ExitStack:
    """It stops the drivers that come later, too."""
    return _replaced((StudyFolder, "is_stop_requested", lambda self: self._stop_file.exists()))


def a_number_is_enough_to_know_a_driver() -> ExitStack:
    """Whoever has the number of a driver that was killed is taken for it."""

    def is_dead(self: Holder) -> bool:
        return lease_holder.birth_of(self.pid) is None

    return _replaced((Holder, "is_dead", is_dead))


def preparing_a_trial_clears_it() -> ExitStack:
    """A driver that is stopped on the way throws away what its successor's worker has finished."""

    def prepare(self: TrialFolder, job: Job) -> None:
        known = self.has_job() and self.job().token == job.token
        if known:
            return
        self.path.mkdir(parents=True, exist_ok=True)
        for file in (self._result, self._failure, self._progress):
            file.unlink(missing_ok=True)
        atomic_file.write_atomically(self._job, job.model_dump_json())

    return _replaced((TrialFolder, "prepare", prepare))


def the_lock_is_let_go_before_the_result_is_there() -> ExitStack:
    """A trial that is as good as finished is taken for dead."""

    @contextmanager
    def locked(self: TrialFolder, worker: Worker) -> Iterator[bool]:
        with self._lock.open("ab") as file:
            is_mine = file_locks.try_hold(file)
            if is_mine:
                atomic_file.write_atomically(self._worker, worker.model_dump_json())
        yield is_mine

    return _replaced((TrialFolder, "locked", locked))


def what_was_not_finished_is_cut_off_the_journal() -> ExitStack:
    """A driver that is stopped while it opens the journal cuts off what its successor has written."""
    honest = Journal.open

    def open_journal(self: Journal, fence: int, driver: str) -> int:
        self.read()
        if self.path.stat().st_size > self._position:
            os.truncate(self.path, self._position)
        return honest(self, fence, driver)

    return _replaced((Journal, "open", open_journal))


def the_end_of_one_worker_is_counted_for_every_trial_that_waits() -> ExitStack:
    """A worker that ended with another trial is taken for evidence against the one that it was started for."""

    def living_children(self: ProcessExecutor) -> dict[Path, Any]:
        for lock, child in list(self._children.items()):
            if child.poll() is not None:
                self._died_with[lock] = None
                del self._children[lock]
        return self._children

    return _replaced((ProcessExecutor, "_living_children", living_children))


INTERLEAVINGS: dict[Bug, int] = {
    the_dead_are_those_for_whom_no_worker_is_free: 3,
    the_result_is_looked_for_before_the_lock: 99,
    a_worker_dequeues_before_it_locks: 2071,
    a_worker_does_not_look_again_under_the_lock: 3,
    results_are_written_in_place: 154,
    a_driver_does_not_notice_that_it_was_replaced: 16,
    a_request_to_stop_means_whoever_drives: 7,
    a_number_is_enough_to_know_a_driver: 51,
    preparing_a_trial_clears_it: 96,
    the_lock_is_let_go_before_the_result_is_there: 5,
    what_was_not_finished_is_cut_off_the_journal: 182,
    the_end_of_one_worker_is_counted_for_every_trial_that_waits: 648,
}
"""Found by schedules, and the first seed that found it when it was last looked for.

That of the first quickstart was met by a person; preparing that clears, the journal that is cut off and the end that is
counted twice were found by this search. It also found that a trial was not queued at which a worker only looked; since
two places see to that, one alone can no longer be put back (`tests/bo_shaping/executors/test_process.py` has both).
"""


def the_journal_is_not_synced() -> ExitStack:
    """A power cut takes lines of which the study thinks that they are safe."""

    def append(self: Journal, kind: Any, content: dict[str, Any]) -> None:
        event = {"fence": self._fence or self._last_fence, "kind": kind, "content": content}
        with self.path.open("ab", buffering=0) as file:
            file.write(json.dumps({"crc": _crc(event), **event}, ensure_ascii=False).encode() + b"\n")
        self.check()

    return _replaced((Journal, "append", append))


def a_replaced_file_is_not_synced() -> ExitStack:
    """After a power cut it is empty."""
    return _replaced((atomic_file, "os", _WithoutSync()))


def the_folder_of_a_replaced_file_is_not_synced() -> ExitStack:
    """After a power cut it has its old name."""
    return _replaced((atomic_file, "sync_folder", lambda path: None))


class _WithoutSync:
    """`os` with a sync that does nothing for files."""

    def __getattr__(self, name: str) -> Any:
        return getattr(os, name)

    def fsync(self, descriptor: int) -> None:
        if stat.S_ISDIR(os.fstat(descriptor).st_mode):
            os.fsync(descriptor)


POWER_CUTS: tuple[Bug, ...] = (
    the_journal_is_not_synced,
    a_replaced_file_is_not_synced,
    the_folder_of_a_replaced_file_is_not_synced,
)
"""Found by cutting the power at every step."""
