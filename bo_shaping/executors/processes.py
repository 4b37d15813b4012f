"""Processes that another process started: which one it is, and how it is ended for certain.

A process number is used again once its process is gone. So a number counts only together with the time at which the
system says that the process began.
"""

import os
import signal
import socket
import time
from collections.abc import Callable

from bo_shaping.errors import ExecutorError
from bo_shaping.storage.process_birth import birth_of
from bo_shaping.storage.trial_folder import TrialFolder, Worker

TERM_SECONDS = 5.0
"""A worker that was asked to end is killed after this."""

KILL_SECONDS = 30.0
"""A worker that was killed has ended after this, or something is wrong with the machine."""


def this_process() -> Worker:
    """The process that asks."""
    pid = os.getpid()
    return Worker(pid=pid, started=time.time(), birth=birth_of(pid), host=socket.gethostname())


def is_alive(worker: Worker) -> bool:
    """Whether that very process runs on this machine."""
    if worker.host not in (None, socket.gethostname()):
        return False
    birth = birth_of(worker.pid)
    return birth is not None and worker.birth in (None, birth)


def has_certainly_ended(worker: Worker) -> bool:
    """Whether that process has certainly ended; False for one on another machine."""
    return worker.host in (None, socket.gethostname()) and not is_alive(worker)


def end_process(worker: Worker, has_ended: Callable[[], bool]) -> bool:
    """Ask a process of this machine to end, with what it started; kill it after `TERM_SECONDS`.

    Args:
        worker: The process. Nothing is sent to another one that has its number now.
        has_ended: What counts as ended.

    Returns:
        Whether it has ended.
    """
    if not is_alive(worker):
        return has_ended()
    try:
        # A worker in a session of its own goes with everything that it started.
        send = os.killpg if os.getpgid(worker.pid) == worker.pid else os.kill
        send(worker.pid, signal.SIGTERM)
        send(worker.pid, signal.SIGCONT)  # a process that was stopped gets the first signal only with the second
        if _wait(has_ended, TERM_SECONDS):
            return True
        send(worker.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
    return _wait(has_ended, KILL_SECONDS)


def end_worker(folder: TrialFolder) -> None:
    """End whoever works on a trial, on this machine, and return when nobody does.

    Raises:
        ExecutorError: If it goes on, for instance on another machine.
    """
    deadline = time.monotonic() + KILL_SECONDS
    while folder.is_locked():
        worker = folder.worker()
        # A worker that has just taken the lock has not written down its name yet.
        if worker is not None and is_alive(worker) and end_process(worker, lambda: not folder.is_locked()):
            return
        if time.monotonic() > deadline:
            who = f"process {worker.pid} on {worker.host or 'this machine'}" if worker else "another process"
            raise ExecutorError(f"The worker of {folder.path} could not be ended: {who}; end it there, then go on.")
        time.sleep(0.02)


def _wait(condition: Callable[[], bool], seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True
