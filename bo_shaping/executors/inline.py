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

    def stop(self, folder: TrialFolder) -> None:
        """Nothing to do: nothing runs between two calls."""

    def reason(self, folder: TrialFolder) -> str:
        """Why the job is dead."""
        return "it died"

    def close(self) -> None:
        """Nothing to do."""
