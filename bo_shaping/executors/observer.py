"""How a trial stands, seen from outside: from its files, its lock, its heartbeat, and what the executor knows."""

from collections.abc import Callable

from bo_shaping.executors import TrialState
from bo_shaping.executors.heartbeat import HeartbeatWatch, seconds_so_far
from bo_shaping.storage.trial_folder import TrialFolder


class Observer:
    """Watches the trials of a study for an executor.

    Args:
        stale_after: Seconds without a heartbeat after which a worker counts as hung.
        trial_seconds: Longest a trial may take; None for any time.
    """

    def __init__(self, stale_after: float, trial_seconds: float | None = None) -> None:
        self._watch = HeartbeatWatch(stale_after)
        self._trial_seconds = trial_seconds

    def starts(self, folder: TrialFolder) -> None:
        """The trial is about to be started: what was seen of an earlier attempt counts no more."""
        folder.forget_heartbeat()
        self._watch.forget(folder.heartbeat_file)

    def state(self, folder: TrialFolder, is_expected: Callable[[], bool]) -> TrialState:
        """How the trial stands.

        Args:
            folder: The trial.
            is_expected: Whether somebody will work on it, or does: a queue, a cluster's word. Asked before the lock
                and the files are looked at, so that a trial that goes from one to the next in between is not lost.
        """
        is_expected_now = is_expected()
        is_running = folder.is_locked() or is_expected_now
        is_hung = is_running and self._hangs(folder)
        if folder.has_result():
            return "finished"
        if folder.has_failed():
            return "failed"
        if is_hung:
            return "hung"
        return "running" if is_running else "dead"

    def reason(self, folder: TrialFolder) -> str:
        """Why the trial is failed, hung or dead, in one line."""
        if folder.has_failed():
            return folder.failure_reason()
        if not folder.is_locked():
            return f"the worker ended without a result (killed, or out of memory); see {folder.log_file}"
        if self._is_late(folder):
            return f"the trial took longer than budget.trial_seconds = {self._trial_seconds:g}"
        return f"the worker hung: no heartbeat for {self._watch.stale_after:g} s; see {folder.log_file}"

    def _hangs(self, folder: TrialFolder) -> bool:
        # Before the first beat nobody has begun: what waits in a queue does not hang.
        if not folder.heartbeat_file.exists():
            return False
        return self._watch.is_stale(folder.heartbeat_file) or self._is_late(folder)

    def _is_late(self, folder: TrialFolder) -> bool:
        return self._trial_seconds is not None and seconds_so_far(folder.heartbeat_file) > self._trial_seconds
