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
from pathlib import Path
from typing import IO

from bo_shaping.executors.heartbeat import beating
from bo_shaping.executors.pool import InHand, Pool, Seat
from bo_shaping.executors.processes import this_process
from bo_shaping.executors.worker import output_to, run_job
from bo_shaping.memory import give_back_memory
from bo_shaping.storage.file_locks import keep_from_children
from bo_shaping.storage.trial_folder import TrialFolder, Worker

POLL_SECONDS = 0.1

IDLE_SECONDS = 300.0
"""A worker that waits for longer makes room: the next trial will start a new one."""


def main(path: str, name: str, files: str) -> None:
    """Work until there is no more to do."""
    pool = Pool(Path(path))
    seat = pool.seat(name)
    lock, *_ = held = [os.fdopen(int(descriptor), "ab") for descriptor in files.split(",")]
    for file in held:
        # What the inner loop starts, or forks, must not hold them.
        os.set_inheritable(file.fileno(), False)
        keep_from_children(file)
    with beating(seat.beat_file):
        _work(pool, seat, lock)
    seat.clear()


def _work(pool: Pool, seat: Seat, lock: IO[bytes]) -> None:
    waits_since = time.monotonic()
    while True:
        if work_on_next(pool, seat):
            give_back_memory()
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
        # Said before the lock is taken, and taken back only if all went well: a worker that has ended says with which.
        seat.write_in_hand(InHand(worker=me, trial=str(trial.path)))
        has_worked = _take(pool, trial, me)
        seat.write_in_hand(InHand(worker=me, trial=None))
        if has_worked:
            return True
    return False


def _take(pool: Pool, trial: TrialFolder, me: Worker) -> bool:
    """Work on the trial to its end; False if it is not to be had."""
    with trial.locked(me) as is_mine:
        # It may have been taken, or taken back, since the list was made.
        if not is_mine or not pool.is_queued(trial):
            return False
        pool.dequeue(trial)
        if not trial.is_done():
            with output_to(trial.log_file), beating(trial.heartbeat_file):
                _work_on(trial)
    return True


def _work_on(trial: TrialFolder) -> None:
    try:
        run_job(trial)
    except Exception:  # a damaged job, a full disk: the trial is left without a result, and this worker is still good
        traceback.print_exc()


if __name__ == "__main__":
    main(*sys.argv[1:])
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)  # taking down PyTorch piece by piece costs a second of CPU, and the study waits for it
