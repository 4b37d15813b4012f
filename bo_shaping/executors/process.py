"""Trials in detached processes of this machine, which outlive a driver that is killed and keep their models loaded."""

import os
import subprocess
import sys
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from bo_shaping.executors import TrialState
from bo_shaping.executors.gpu_slots import VISIBLE, GpuSlots
from bo_shaping.executors.heartbeat import HeartbeatWatch
from bo_shaping.executors.observer import Observer
from bo_shaping.executors.pool import Pool, Seat
from bo_shaping.executors.processes import end_process, end_worker
from bo_shaping.executors.worker import thread_limits
from bo_shaping.storage.file_locks import try_hold
from bo_shaping.storage.trial_folder import TrialFolder

CLOSE_SECONDS = 10.0
"""How long `close` waits for idle workers; they go by themselves in any case."""

SHORTEST_START = 20.0
"""A worker that has not begun to beat counts as hung after this at the earliest: it is loading Python."""


class ProcessExecutor:
    """Queues trials for `bo_shaping.executors.pool_worker` and sees to it that there is a worker for each.

    Whether a worker lives is read from the lock it holds, so any executor of the study sees them all.

    Args:
        path: The folder of the study's workers.
        observer: Says how trials stand.
        stale_after: Seconds without a heartbeat after which an idle worker counts as hung.
        threads: Compute threads of a worker.
        gpus: GPUs of which each worker gets its own; None leaves the choice to PyTorch.
    """

    def __init__(
        self,
        path: Path,
        observer: Observer,
        *,
        stale_after: float,
        threads: int,
        gpus: GpuSlots | None = None,
    ) -> None:
        self._path = path
        self._pool = Pool(path)
        self._observer = observer
        self._threads = threads
        self._gpus = gpus
        self._idle_watch = HeartbeatWatch(max(stale_after, SHORTEST_START))
        self._children: dict[Path, subprocess.Popen[bytes]] = {}
        self._started_for: dict[Path, Seat] = {}
        """The worker that was started for a trial, which may have taken another one first."""
        self._died_with: dict[Path, str | None] = {}
        """By lock file of the workers that ended badly: the trial that they had in hand or reached for, or None."""
        self._relied_on: set[Path] = set()
        """Trials that were last said to run, so that nobody has started them since."""
        self._in_use = self._pool.open()
        self._pool.clear_away()

    def start(self, folder: TrialFolder) -> None:
        """Queue the trial, and start a worker unless a free one will take it."""
        if folder.is_done() or self._pool.is_queued(folder):
            return
        # Also if it is locked: by a worker that only looks whether it is still queued, or by one that works on it, and
        # then whoever takes it next finds it done.
        self._observer.starts(folder)
        self._started_for.pop(folder.path, None)
        self._pool.enqueue(folder)
        self._see_to(folder)

    def state(self, folder: TrialFolder) -> TrialState:
        """How the trial stands, whoever started it."""
        self._living_children()
        state = self._observer.state(folder, lambda: self._is_expected(folder))
        if state == "dead" and folder.path in self._relied_on and not self._was_begun(folder):
            # A worker held it that only looked whether it was queued, and so it seemed to run.
            self.start(folder)
            state = "running"
        (self._relied_on.add if state == "running" else self._relied_on.discard)(folder.path)
        return state

    def reason(self, folder: TrialFolder) -> str:
        """Why the trial is failed, hung or dead."""
        seat = self._started_for.get(folder.path)
        if seat is not None and self._speaks_against(seat, folder) and not folder.heartbeat_file.exists():
            return f"the worker ended before it took the trial ({seat.last_words()}); see {seat.log_file}"
        return self._observer.reason(folder)

    def stop(self, folder: TrialFolder) -> None:
        """Take the trial out of the queue, or end its worker with everything that it started."""
        self._relied_on.discard(folder.path)
        self._pool.dequeue(folder)
        end_worker(folder)
        self._living_children()

    def close(self) -> None:
        """Let idle workers go, and wait until those that this executor started have ended."""
        self._in_use.close()
        if self._pool.is_in_use():
            return
        deadline = time.monotonic() + CLOSE_SECONDS
        while any(self._pool.seat(lock.stem).trial() is None for lock in self._living_children()):
            if time.monotonic() > deadline:
                break
            time.sleep(0.02)
        self._pool.clear_away()

    def _is_expected(self, folder: TrialFolder) -> bool:
        """Whether the trial is queued and somebody will take it.

        Only one thing speaks against that: the worker that was started for it has ended badly, and not with another
        trial. Whether others are free says nothing, since what they do changes while one looks.
        """
        if not self._pool.is_queued(folder):
            return False
        self._end_hung_workers()
        children, seat = self._living_children(), self._started_for.get(folder.path)
        if seat is not None and seat.lock_file in children:
            return True
        if seat is not None and self._speaks_against(seat, folder):
            self._pool.dequeue(folder)
            return False
        # A worker was free and has left, or the one for this trial has ended with another, or there was no free GPU.
        self._see_to(folder)
        return True

    def _was_begun(self, folder: TrialFolder) -> bool:
        """Whether a worker has begun with the trial, or has ended badly with it in hand or because of it."""
        seat, here = self._started_for.get(folder.path), str(folder.path.resolve())
        is_evidence = here in self._died_with.values() or (seat is not None and self._speaks_against(seat, folder))
        return is_evidence or folder.heartbeat_file.exists()

    def _speaks_against(self, seat: Seat, folder: TrialFolder) -> bool:
        """Whether the worker has ended badly, and not with another trial, whose end that was."""
        lock, here = seat.lock_file, str(folder.path.resolve())
        return lock in self._died_with and self._died_with[lock] in (None, here)

    def _see_to(self, folder: TrialFolder) -> None:
        """Start a worker if there are fewer than trials that need one; with GPUs, if enough of them are free."""
        seats = self._pool.seats()
        busy = {trial.path for seat in seats if (trial := seat.trial()) is not None}
        waiting = {trial.path for trial in self._pool.waiting() if not trial.is_done()}
        if len(waiting | busy) <= len(seats):
            return
        held = self._gpus.take() if self._gpus is not None else None
        if held is not None:
            self._started_for[folder.path] = self._start_worker(held.descriptors, {VISIBLE: held.names})
            held.let_go()
        elif self._gpus is None:
            self._started_for[folder.path] = self._start_worker([], {})

    def _start_worker(self, descriptors: Sequence[int], environment: dict[str, str]) -> Seat:
        """Start a worker in its own session."""
        seat = self._pool.new_seat()
        with seat.lock_file.open("ab") as lock, seat.log_file.open("ab") as log:
            try_hold(lock)
            # The lock is the open file's: it lives on in the worker, with no moment between the two processes.
            files = [lock.fileno(), *descriptors]
            self._children[seat.lock_file] = subprocess.Popen(  # noqa: S603 - our own module, no shell
                [
                    *(sys.executable, "-m", "bo_shaping.executors.pool_worker", str(self._path.resolve())),
                    *(seat.lock_file.stem, ",".join(map(str, files))),
                ],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=os.environ | thread_limits(self._threads) | environment,
                start_new_session=True,
                pass_fds=files,
            )
        return seat

    def _end_hung_workers(self) -> None:
        """End the idle workers that hang: they would be waited for."""
        for seat in self._pool.seats():
            if not self._idle_watch.is_stale(seat.beat_file) or seat.trial() is not None:
                continue
            in_hand, child = seat.in_hand(), self._children.get(seat.lock_file)
            if in_hand is not None:
                end_process(in_hand.worker, partial(_is_empty, seat))
            elif child is not None:
                child.kill()

    def _living_children(self) -> dict[Path, subprocess.Popen[bytes]]:
        """The workers that this executor started and that have not ended; those that have leave no zombies."""
        for lock, child in list(self._children.items()):
            if child.poll() is None:
                continue
            if child.returncode != 0:
                in_hand = self._pool.seat(lock.stem).in_hand()
                self._died_with[lock] = None if in_hand is None else in_hand.trial
            del self._children[lock]
        return self._children


def _is_empty(seat: Seat) -> bool:
    return not seat.is_taken()
