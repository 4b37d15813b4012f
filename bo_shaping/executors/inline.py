"""Trials inside the driver's own process, one after the other: for notebooks and tests."""

from bo_shaping.executors import TrialState
from bo_shaping.executors.observer import Observer
from bo_shaping.executors.processes import end_worker
from bo_shaping.executors.worker import main
from bo_shaping.storage.trial_folder import TrialFolder


class InlineExecutor:
    """Starting a trial runs it to its end.

    A trial may also have a worker of another kind, from before the study was told to run inline.

    Args:
        observer: Says how trials stand.
    """

    def __init__(self, observer: Observer) -> None:
        self._observer = observer

    def start(self, folder: TrialFolder) -> None:
        """Run the folder's job, unless somebody else does; returns when it is done."""
        if not folder.is_done() and not folder.is_locked():
            self._observer.starts(folder)
        main(str(folder.path))

    def state(self, folder: TrialFolder) -> TrialState:
        """How the folder's job stands, whoever started it."""
        return self._observer.state(folder, lambda: False)

    def reason(self, folder: TrialFolder) -> str:
        """Why the trial is failed, hung or dead."""
        return self._observer.reason(folder)

    def stop(self, folder: TrialFolder) -> None:
        """End the worker that another executor has started; nothing of this one runs between two calls."""
        end_worker(folder)

    def close(self) -> None:
        """Nothing to do."""
