"""How a trial runs. An executor starts what a trial folder describes and says how it stands; results go by files."""

from typing import TYPE_CHECKING, Literal, Protocol

from bo_shaping.executors.folder import TrialFolder

if TYPE_CHECKING:
    from bo_shaping.config import StudyConfig
    from bo_shaping.store import StudyFolder

TrialState = Literal["running", "finished", "failed", "dead", "hung"]
"""`finished`: a result is there. `failed`: the inner loop raised. `dead`: neither, and nobody is working on it."""


class Executor(Protocol):
    """Anything that can run trials."""

    def start(self, folder: TrialFolder) -> None:
        """Run the folder's job. Starting one that is running or done already does nothing."""

    def state(self, folder: TrialFolder) -> TrialState:
        """How the folder's job stands, whoever started it."""

    def reason(self, folder: TrialFolder) -> str:
        """Why the job is failed, dead or hung, in one line."""

    def close(self) -> None:
        """No more trials will be started."""

    def stop(self, folder: TrialFolder) -> None:
        """End the folder's job and return when it has ended."""


def make_executor(config: "StudyConfig", folder: "StudyFolder") -> Executor:
    """The executor that a study's configuration names."""
    if config.executor == "inline":
        from bo_shaping.executors.inline import InlineExecutor

        return InlineExecutor()
    from bo_shaping.executors.process import ProcessExecutor

    return ProcessExecutor()
