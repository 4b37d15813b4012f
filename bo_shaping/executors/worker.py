"""Runs the job in a trial folder."""

import inspect
import os
import shutil
import sys
import traceback
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path

from pydantic import ValidationError

from bo_shaping.config.inner_loop import import_inner_loop
from bo_shaping.errors import BoShapingError, TrialResultError
from bo_shaping.executors.heartbeat import beating
from bo_shaping.executors.processes import this_process
from bo_shaping.storage.trial_folder import Event, TrialFolder
from inner_loop.errors import InnerLoopError, UnreachableRewardModelError
from inner_loop.io.schema import describe_validation_error
from inner_loop.spec import TrialProgress, TrialResult, result_of

REASON_LENGTH = 300
"""Longest failure reason kept, in characters; the traceback is in worker.log."""


def main(path: str) -> None:
    """Run the job unless somebody else does, or did."""
    folder = TrialFolder(Path(path))
    with folder.locked(this_process()) as is_mine:
        if is_mine and not folder.is_done():
            with beating(folder.heartbeat_file):
                run_job(folder)


def run_job(folder: TrialFolder) -> None:
    """Run every replicate and leave a result; whatever the inner loop raises becomes the reason of a failure.

    What an inner loop keeps in its folder outlives a worker that is killed, and goes once there is a result, or a
    failure that would be the same another time.
    """
    job, checkpoints, may_pass = folder.job(), folder.path / "checkpoints", False
    folder.restart_progress()
    try:
        inner_loop = import_inner_loop(job.inner_loop)
        results = []
        for replicate, spec in enumerate(job.specs):
            own_folder = checkpoints / str(replicate)
            taken = inspect.signature(inner_loop).parameters
            options = {"folder": own_folder} if "folder" in taken else {}
            if job.keeps_policy:
                if "save_policy" not in taken:
                    raise TrialResultError(f"{job.inner_loop} has no parameter save_policy, so no policy can be kept")
                options["save_policy"] = folder.policy
            results.append(_follow(inner_loop(spec, **options), replicate, len(job.specs), folder))
    except Exception as error:
        traceback.print_exc()
        may_pass = isinstance(error, UnreachableRewardModelError)
        message = " ".join(str(error).split())
        if not isinstance(error, BoShapingError | InnerLoopError):  # those say it all themselves
            message = f"{type(error).__name__}: {message}"
        folder.write_failure(job.token, message[:REASON_LENGTH].rstrip(": "))
    else:
        folder.write_results(job.token, results)
    if not may_pass:
        shutil.rmtree(checkpoints, ignore_errors=True)


@contextmanager
def output_to(log_file: Path) -> Iterator[None]:
    """Everything that this process prints goes to the trial's log, whoever prints it."""
    before = [os.dup(descriptor) for descriptor in (1, 2)]
    with log_file.open("ab") as log:
        for descriptor in (1, 2):
            os.dup2(log.fileno(), descriptor)
    try:
        yield
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        for descriptor, original in zip((1, 2), before, strict=True):
            os.dup2(original, descriptor)
            os.close(original)


def thread_limits(threads: int) -> dict[str, str]:
    """Environment that keeps a trial to that many compute threads."""
    # Without the wait policy, threads of several trials spin against each other and run 10 times slower.
    counts = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), str(threads))
    return counts | {"OMP_WAIT_POLICY": "passive", "GOMP_SPINCOUNT": "0", "TOKENIZERS_PARALLELISM": "false"}


def _follow(
    run: Generator[TrialProgress, None, TrialResult], replicate: int, n_replicates: int, folder: TrialFolder
) -> TrialResult:
    """Drive one replicate to its end, its events going to the folder."""

    def write(progress: TrialProgress) -> None:
        folder.append_event(Event(replicate=replicate, n_replicates=n_replicates, progress=progress))

    result = result_of(run, heard=write)
    if not isinstance(result, TrialResult):
        raise TrialResultError(f"the inner loop returned {type(result).__name__}, not a TrialResult")
    return _validated(result)


def _validated(result: TrialResult) -> TrialResult:
    """The result, every number of it finite: a model that was copied or constructed has not been checked."""
    try:
        return TrialResult.model_validate(result.model_dump())
    except ValidationError as error:
        raise TrialResultError(
            f"the inner loop returned an unusable result: {describe_validation_error(error)}"
        ) from None
