"""A detached worker that takes trial after trial: `python -m bo_shaping.executors.pool_worker WORKERS NAME FILES`.

It keeps what it has imported and loaded, so that its second trial starts at once. It ends by itself when no executor is
left that could give it another trial, or when none came for `IDLE_SECONDS`. FILES are open locks that it was started
with: they say that it lives, and which GPUs are its own.
"""

import fcntl
import os
import sys
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bo_shaping.executors.folder import TrialFolder
from bo_shaping.executors.heartbeat import beating
from bo_shaping.executors.pool import InHand, Pool, Seat
from bo_shaping.executors.processes import this_process
from bo_shaping.executors.worker import run_job

POLL_SECONDS = 0.1

IDLE_SECONDS = 300.0
"""A worker that waits for longer makes room: the next trial will start a new one."""


def main(path: str, name: str, files: str) -> None:
    """Work until there is no more to do."""
    pool = Pool(Path(path))
    seat = pool.seat(name)
    lock, *_ = descriptors = [int(descriptor) for descriptor in files.split(",")]
    for descriptor in descriptors:
        os.set_inheritable(descriptor, False)  # what the inner loop starts must not hold them
    with beating(seat.beat_file):
        _work(pool, seat, lock)
    seat.clear()


def _work(pool: Pool, seat: Seat, lock: int) -> None:
    waits_since = time.monotonic()
    while True:
        if work_on_next(pool, seat):
            waits_since = time.monotonic()
        elif pool.is_in_use(attempts=1) and time.monotonic() - waits_since < IDLE_SECONDS:
            time.sleep(POLL_SECONDS)
        else:
            # An executor queues a trial first and counts the living workers second. So either it sees that this one
            # is gone, or this one sees the trial.
            fcntl.flock(lock, fcntl.LOCK_UN)
            if not pool.waiting():
                return
            fcntl.flock(lock, fcntl.LOCK_EX)


def work_on_next(pool: Pool, seat: Seat) -> bool:
    """Take a trial and work on it to its end; False if none was there to be had."""
    me = this_process()
    for trial in pool.waiting():
        # Said before the lock is taken, so that whoever counts free workers never counts this one for another trial.
        seat.write_in_hand(InHand(worker=me, trial=str(trial.path)))
        try:
            with trial.locked(me) as is_mine:
                # It may have been taken, or taken back, since the list was made.
                if not is_mine or not pool.is_queued(trial):
                    continue
                pool.dequeue(trial)
                if not trial.is_done():
                    with _output_to(trial.log_file), beating(trial.heartbeat_file):
                        _work_on(trial)
                return True
        finally:
            seat.write_in_hand(InHand(worker=me, trial=None))
    return False


def _work_on(trial: TrialFolder) -> None:
    try:
        run_job(trial)
    except Exception:  # a damaged job, a full disk: the trial is left without a result, and this worker is still good
        traceback.print_exc()


@contextmanager
def _output_to(log_file: Path) -> Iterator[None]:
    """Everything that this process prints goes to the trial's log, whoever prints it."""
    before = [os.dup(descriptor) for descriptor in (1, 2)]
    with log_file.open("ab") as log:
        for descriptor in (1, 2):
            os.dup2(log.fileno(), descriptor)
    try:
        yield
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        for descriptor, original in zip((1, 2), before, strict=True):
            os.dup2(original, descriptor)
            os.close(original)


if __name__ == "__main__":
    main(*sys.argv[1:])
