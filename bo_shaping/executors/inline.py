"""Trials inside the driver's own process, one after the other: for notebooks and tests."""

from bo_shaping.executors import TrialState
from bo_shaping.executors.folder import TrialFolder
from bo_shaping.executors.worker import main


class InlineExecutor:
    """Starting a trial runs it to its end."""

    def start(self, folder: TrialFolder) -> None:
        """Run the folder's job; returns when it is done."""
        main(str(folder.path))

    def state(self, folder: TrialFolder) -> TrialState:
        """How the folder's job stands."""
        if folder.has_result():
            return "finished"
        return "failed" if folder.has_failed() else "dead"

    def reason(self, folder: TrialFolder) -> str:
        """Why the trial is failed or dead."""
        return folder.failure_reason() if folder.has_failed() else "nobody has worked on it to its end"

    def stop(self, folder: TrialFolder) -> None:
        """Nothing to do: nothing runs between two calls."""

    def close(self) -> None:
        """Nothing to do."""
