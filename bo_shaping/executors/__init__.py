"""How a trial runs. An executor starts what a trial folder describes and says how it stands; results go by files.

An executor notices what happens to a trial; whether it is tried again is the driver's decision.
"""

from typing import TYPE_CHECKING, Literal, Protocol

from bo_shaping.storage.trial_folder import TrialFolder

if TYPE_CHECKING:
    from bo_shaping.config import StudyConfig
    from bo_shaping.storage.study_folder import StudyFolder

TrialState = Literal["running", "finished", "failed", "dead", "hung"]
"""`running`: somebody works on it, or will: it may wait for its turn. `finished`: a result is there. `failed`: the
inner loop raised. `dead`: neither, and nobody works on it. `hung`: somebody does, but shows no sign of life, or takes
longer than a trial may; `stop` it before it is started again."""


class Executor(Protocol):
    """Anything that can run trials. Trials outlive it and the process it is in; another one finds them by folder."""

    def start(self, folder: TrialFolder) -> None:
        """Run the folder's job. Starting one that is queued, running or done already does nothing."""

    def state(self, folder: TrialFolder) -> TrialState:
        """How the folder's job stands, whoever started it. Asked often: it is what notices a worker that hangs."""

    def reason(self, folder: TrialFolder) -> str:
        """Why the job is failed, dead or hung, in one line."""

    def stop(self, folder: TrialFolder) -> None:
        """End the folder's job, waiting or running, hung or not, and return when it has ended.

        Raises:
            ExecutorError: If it cannot be ended; it must not be started again then.
        """

    def close(self) -> None:
        """No more trials will be started: let idle workers go. Trials that run go on."""


def make_executor(config: "StudyConfig", folder: "StudyFolder") -> Executor:
    """The executor that a study's configuration names.

    Raises:
        ConfigError: If a trial needs more GPUs than there are.
        ExecutorError: If an extra is not installed, or there is no such cluster.
    """
    from bo_shaping.executors.observer import Observer

    workers = config.workers
    observer = Observer(workers.stale_after, config.budget.trial_seconds)
    path = folder.path / "workers"
    if config.executor == "inline":
        from bo_shaping.executors.inline import InlineExecutor

        return InlineExecutor(observer)
    if config.executor == "process":
        from bo_shaping.executors.gpu_slots import GpuSlots, visible_devices
        from bo_shaping.executors.process import ProcessExecutor

        gpus = GpuSlots(workers.gpus_per_trial, visible_devices()) if workers.gpus_per_trial else None
        return ProcessExecutor(
            path, observer, stale_after=workers.stale_after, threads=config.threads_per_trial, gpus=gpus
        )
    if config.executor == "ray":
        from bo_shaping.executors.ray import RayExecutor

        return RayExecutor(
            path, observer, address=workers.address, threads=config.threads_per_trial, gpus=workers.gpus_per_trial
        )
    from bo_shaping.executors.slurm import SlurmExecutor

    minutes = None if config.budget.trial_seconds is None else config.budget.trial_seconds / 60
    return SlurmExecutor(
        path,
        observer,
        options=workers.options,
        minutes=minutes,
        threads=config.threads_per_trial,
        gpus=workers.gpus_per_trial,
    )
