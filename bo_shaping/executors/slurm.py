"""Trials as Slurm jobs: one job per trial, submitted and asked after through submitit.

submitit pickles the call that a job makes, and the job loads it again: the name of a function of this package and the
path of the trial folder, nothing of the user's. The folder of the study must be on a file system that all nodes share
under the same path.
"""

import math
import os
import signal
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from pydantic import ValidationError

from bo_shaping.errors import ConfigError, ExecutorError
from bo_shaping.executors import TrialState
from bo_shaping.executors.observer import Observer
from bo_shaping.executors.processes import end_process, end_worker, is_alive
from bo_shaping.executors.worker import main, output_to, thread_limits
from bo_shaping.storage.process_birth import birth_of
from bo_shaping.storage.trial_folder import TrialFolder, Worker
from inner_loop.io.atomic_file import write_atomically
from inner_loop.io.schema import StrictModel, nearest, shown

try:
    import submitit
    from submitit.core.utils import FailedJobError, FailedSubmissionError
except ImportError as error:
    raise ExecutorError(
        f"executor: slurm needs the extra of that name ({error}); install it with: pip install 'bo-shaping[slurm]'"
    ) from None

CLUSTER, LOCAL = "cluster", "local"
"""Option, and its value for jobs on this machine instead of Slurm's."""

MINUTES = 24 * 60
"""Time limit of a job where neither `budget.trial_seconds` nor the option `timeout_min` gives one."""

ASK_SECONDS = 15
"""Time between two questions to Slurm, for all jobs together."""

CANCEL_SECONDS = 60.0
"""A cancelled job has ended after this; Slurm waits 30 s between asking and killing."""

LOCAL_SECONDS = 5.0
"""A cancelled job of this machine that has not ended by itself after this is ended for certain."""

ENDED = frozenset(
    {"BOOT_FAIL", "CANCELLED", "COMPLETED", "DEADLINE", "FAILED", "NODE_FAIL", "OUT_OF_MEMORY", "REVOKED", "TIMEOUT"}
)
"""States of a job that will not run any more. One that Slurm does not know (yet), or requeues, may."""


OPTIONS = ("timeout_min", "mem_gb", "nodes", "cpus_per_task", "gpus_per_node", "tasks_per_node", "name")
"""Options of submitit that are the same everywhere; those of Slurm alone begin with `slurm_`."""


class ClusterJob(StrictModel):
    """Content of a trial's `cluster_job`."""

    id: str
    birth: str | None
    """When the process of a local job began."""

    def process(self) -> Worker:
        """The process of a local job."""
        return Worker(pid=int(self.id), started=0.0, birth=self.birth)


class SlurmExecutor:
    """Submits trials as jobs.

    Args:
        path: The folder of the study's workers; what submitit writes is kept there.
        observer: Says how trials stand.
        options: Parameters of `submitit.AutoExecutor`, such as `slurm_partition`, `timeout_min` or `mem_gb`.
        minutes: Longest a trial may take.
        threads: CPUs of a job.
        gpus: GPUs of a job.

    Raises:
        ExecutorError: If there is no Slurm here.
        ConfigError: If submitit does not know an option.
    """

    def __init__(
        self,
        path: Path,
        observer: Observer,
        *,
        options: Mapping[str, str | int],
        minutes: float | None,
        threads: int,
        gpus: int,
    ) -> None:
        self._observer = observer
        self._folder = path.resolve() / "slurm"
        self._environment = thread_limits(threads)
        limit = MINUTES if minutes is None else math.ceil(minutes)
        parameters = {"name": "bo-shaping", "timeout_min": limit, "cpus_per_task": threads, **options}
        if gpus:
            parameters["gpus_per_node"] = gpus
        cluster = str(parameters.pop(CLUSTER, "slurm"))
        try:
            self._executor = submitit.AutoExecutor(self._folder, cluster=cluster)
        except RuntimeError:
            raise ExecutorError(
                "executor: slurm cannot be used on this machine, which has no srun; start the study on a machine of a "
                "Slurm cluster, or use executor: process."
            ) from None
        except ValueError:
            raise ConfigError(
                f"workers.options.{CLUSTER}: {shown(cluster)} does not exist; write {LOCAL} for jobs on this machine, "
                "or leave it out for Slurm's."
            ) from None
        try:
            self._executor.update_parameters(**parameters)
        except (NameError, AssertionError, TypeError, ValueError) as error:
            raise ConfigError(_refused(parameters, error)) from None
        self._is_local = cluster == LOCAL
        self._asked = -math.inf

    def start(self, folder: TrialFolder) -> None:
        """Submit the trial, unless its job waits or runs."""
        if folder.is_done() or folder.is_locked() or self._is_expected(folder):
            return
        self._observer.starts(folder)
        try:
            job = self._executor.submit(run_trial_folder, str(folder.path.resolve()), self._environment)
        except (FailedJobError, FailedSubmissionError, OSError) as error:
            message = " ".join(str(error).split())
            raise ExecutorError(f"Slurm did not take the job of {folder.path}: {message}") from None
        # A driver that is killed before this line submits a second job: whichever comes first does the work, under
        # the trial's lock, and the other finds it done.
        birth = birth_of(int(job.job_id)) if self._is_local else None
        write_atomically(folder.cluster_job_file, ClusterJob(id=job.job_id, birth=birth).model_dump_json())

    def state(self, folder: TrialFolder) -> TrialState:
        """How the trial stands, whoever submitted it."""
        return self._observer.state(folder, lambda: self._is_expected(folder))

    def reason(self, folder: TrialFolder) -> str:
        """Why the trial is failed, hung or dead, with what Slurm says."""
        job = _job(folder)
        reason = self._observer.reason(folder)
        return reason if job is None or folder.has_failed() else f"{reason}; job {job.id} is {self._status(job)}"

    def stop(self, folder: TrialFolder) -> None:
        """Cancel the trial's job, and wait until it has ended."""
        job = _job(folder)
        if job is not None and self._status(job) not in ENDED:
            self._cancel(job)
        began = time.monotonic()
        while folder.is_locked() or (self._is_local and self._is_expected(folder)):
            if self._is_local and job is not None and time.monotonic() > began + LOCAL_SECONDS:
                # A job of a driver that a script runs in the background does not hear SIGINT.
                end_worker(folder)
                end_process(job.process(), lambda: not is_alive(job.process()))
            if time.monotonic() > began + CANCEL_SECONDS:
                raise ExecutorError(
                    f"Job {job.id if job else '(unknown)'} of {folder.path} was cancelled and goes on; end it with "
                    "scancel, then go on."
                )
            time.sleep(0.1)
        folder.cluster_job_file.unlink(missing_ok=True)

    def close(self) -> None:
        """Nothing to do: a job ends with its trial."""

    def _is_expected(self, folder: TrialFolder) -> bool:
        job = _job(folder)
        return job is not None and self._status(job) not in ENDED

    def _status(self, job: ClusterJob) -> str:
        """What the cluster says of a job; Slurm is asked at most every `ASK_SECONDS`, for all jobs at once."""
        if self._is_local:
            return "RUNNING" if is_alive(job.process()) else "COMPLETED"
        now = time.monotonic()
        is_due = now - self._asked >= ASK_SECONDS
        if is_due:
            self._asked = now
        # "CANCELLED by 1000" and the like
        return str(submitit.SlurmJob.watcher.get_state(job.id, mode="force" if is_due else "cache")).split()[0]

    def _cancel(self, job: ClusterJob) -> None:
        if self._is_local:
            # Ends its job kindly, then for certain.
            with suppress(ProcessLookupError):
                os.kill(int(job.id), signal.SIGINT)
        else:
            submitit.SlurmJob(self._folder, job.id).cancel(check=False)


def run_trial_folder(path: str, environment: Mapping[str, str]) -> None:
    """What a job does: work on a trial to its end, its output going to the trial's log."""
    os.environ.update(environment)
    with output_to(Path(path) / "worker.log"):
        main(path)


def _job(folder: TrialFolder) -> ClusterJob | None:
    try:
        return ClusterJob.model_validate_json(folder.cluster_job_file.read_bytes())
    except (OSError, ValidationError):
        return None


def _refused(parameters: Mapping[str, str | int], error: Exception) -> str:
    """What submitit has against the options, which it says in terms of Python."""
    message = str(error).split("\n", 1)[0].removesuffix(".")  # what follows repeats all that there is
    name = next((name for name in parameters if f"'{name}'" in message or f'"{name}"' in message), None)
    if name is not None and isinstance(error, NameError):
        names = message.partition("Valid arguments: ")[2]  # those of Slurm, without the beginning
        known = [*OPTIONS, *(f"slurm_{each}" for each in names.split(", ") if each)]
        return (
            f"workers.options: unknown key {name!r}, did you mean {nearest(name, known)!r}? Valid keys: "
            f"{', '.join(OPTIONS)}, and those of sbatch with slurm_ before them, such as slurm_partition."
        )
    if name is not None and isinstance(error, AssertionError):
        kind = "a whole number" if isinstance(parameters[name], str) else "a text, in quotes"
        return f"workers.options.{name}: {shown(parameters[name])} cannot be used here; write {kind}."
    return f"workers.options: submitit refuses them: {message}."
