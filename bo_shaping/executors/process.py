"""Each trial in its own detached process, which outlives a driver that is killed."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from bo_shaping.executors import TrialState
from bo_shaping.executors.folder import TrialFolder

STOP_SECONDS = 5.0
"""A worker that was asked to end is killed after this."""


class ProcessExecutor:
    """Starts `python -m bo_shaping.executors.worker`; whether a worker lives is read from the lock it holds."""

    def __init__(self) -> None:
        self._started: dict[Path, subprocess.Popen[bytes]] = {}

    def start(self, folder: TrialFolder) -> None:
        """Start a worker in its own session; if another one has the trial already, the new one ends at once."""
        environment = os.environ | _thread_limits(folder.job().threads)
        with folder.log_file.open("ab") as log:
            self._started[folder.path] = subprocess.Popen(  # noqa: S603 - our own module, no shell
                [sys.executable, "-m", "bo_shaping.executors.worker", str(folder.path)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=environment,
                start_new_session=True,
            )

    def state(self, folder: TrialFolder) -> TrialState:
        """How the folder's job stands, whoever started it."""
        process = self._started.get(folder.path)
        # A worker that has not reached its lock yet is running too.
        is_running = folder.is_locked() or (process is not None and process.poll() is None)
        # Files last: a worker that ended in between has left them.
        if folder.has_result():
            return "finished"
        if folder.has_failed():
            return "failed"
        return "running" if is_running else "dead"

    def stop(self, folder: TrialFolder) -> None:
        """Ask the worker's whole session to end, kill it after `STOP_SECONDS`."""
        process, worker = self._started.get(folder.path), folder.worker()
        if worker is not None:
            pid = worker.pid
        elif process is not None and process.poll() is None:
            pid = process.pid
        else:
            return
        for signal_number in (signal.SIGTERM, signal.SIGKILL):
            try:
                os.killpg(pid, signal_number)
            except ProcessLookupError:
                return
            deadline = time.monotonic() + STOP_SECONDS
            while time.monotonic() < deadline:
                if not folder.is_locked() and (process is None or process.poll() is not None):
                    return
                time.sleep(0.02)

    def reason(self, folder: TrialFolder) -> str:
        """Why the job is dead."""
        return "it died"

    def close(self) -> None:
        """Nothing to do."""


def _thread_limits(threads: int) -> dict[str, str]:
    # Without the wait policy, threads of several trials spin against each other and run 10 times slower.
    counts = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), str(threads))
    return counts | {"OMP_WAIT_POLICY": "passive", "GOMP_SPINCOUNT": "0", "TOKENIZERS_PARALLELISM": "false"}
