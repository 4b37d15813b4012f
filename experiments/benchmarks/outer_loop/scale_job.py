"""Drives the study of `scale` in a process of its own, whose CPU seconds and memory are then the driver's alone.

    python -m experiments.benchmarks.outer_loop.scale_job drive FOLDER TRIALS PARALLEL
    python -m experiments.benchmarks.outer_loop.scale_job fill FOLDER TRIALS PARALLEL
    python -m experiments.benchmarks.outer_loop.scale_job wait FOLDER SECONDS PARALLEL
    python -m experiments.benchmarks.outer_loop.scale_job resume FOLDER

The last line printed is JSON.

What a trial costs its driver is counted from one proposal to the next. A snapshot is taken once per trial, as in a
study whose trials take a minute, two at a time; and what it costs to wait for such a trial is measured with trials that
wait (`wait`).
"""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import resource
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from experiments.benchmarks.outer_loop.fast_loop import WAIT_VARIABLE
from inner_loop import result_of

NAME = "scale"
QUICKSTART = Path(__file__).resolve().parents[2] / "quickstart.yaml"


class _ReachedProposalError(Exception):
    """The study is loaded and reconciled, and would propose now."""


def main(task: str, folder: str, *numbers: str) -> None:
    """One task."""
    os.environ["BO_SHAPING_STUDIES"] = folder
    tasks: dict[str, Callable[..., dict[str, Any]]] = {"drive": drive, "fill": fill, "wait": wait, "resume": resume}
    result = tasks[task](*(int(number) for number in numbers))
    print(json.dumps(result))


def drive(n_trials: int, parallel: int) -> dict[str, Any]:
    """Launch the study, or go on, until it has so many trials."""
    import torch

    from bo_shaping.storage import ledger

    torch.set_num_threads(1)
    study = study_of(parallel)
    n_known = len(study.folder.records())
    clocks = {"propose": [0.0], "write_snapshot": [0.0]}
    begun: list[float] = []

    def timed(name: str) -> Callable[..., Any]:
        function = getattr(ledger, name)

        def with_clock(*arguments: Any, **options: Any) -> Any:
            start = time.process_time()
            if name == "propose":
                begun.append(start)
            try:
                return function(*arguments, **options)
            finally:
                clocks[name].append(time.process_time() - start)

        return with_clock

    for name in clocks:
        setattr(ledger, name, timed(name))
    snapshot = ledger.Ledger._snapshot

    def once_per_trial(self: Any, *, at_once: bool) -> None:
        is_due = len(clocks["write_snapshot"]) <= len(begun)
        self._snapshot_at = 0.0 if is_due else float("inf")
        snapshot(self, at_once=at_once)

    ledger.Ledger._snapshot = once_per_trial  # type: ignore[method-assign]
    start, wall = time.process_time(), time.monotonic()
    study.run(n_trials - n_known)
    end = time.process_time()
    return {
        "n_trials": n_trials - n_known,
        "cpu_seconds": end - start,
        "proposing_cpu_seconds": sum(clocks["propose"]),
        "snapshot_cpu_seconds": sum(clocks["write_snapshot"]),
        "trial_cpu_seconds": [round(until - since, 4) for since, until in itertools.pairwise([*begun, end])],
        "wall_seconds": time.monotonic() - wall,
        "rss_mb": rss_mb(),
        "peak_rss_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }


def fill(n_trials: int, parallel: int) -> dict[str, Any]:
    """Write down random arms with their results until there are so many trials; whoever drives next takes them in."""
    from bo_shaping.generation.design import random_arm
    from bo_shaping.running.transitions import completed
    from bo_shaping.space.arms import to_specs
    from bo_shaping.storage.ledger import trial_of_arm
    from bo_shaping.storage.trial_folder import Job
    from experiments.benchmarks.outer_loop.fast_loop import run_trial

    study = study_of(parallel)
    config, folder = study._config, study.folder
    with study._ledger.driven():
        for index in range(len(folder.records()), n_trials):
            entry = trial_of_arm(index, random_arm(config, index), "running", [config.seed], "random")
            specs = to_specs(config, entry.arm, list(entry.record.seeds))
            results = [result_of(run_trial(spec)) for spec in specs]
            trial, job = folder.trial(index), Job.of(config.inner_loop, specs)
            trial.prepare(job)
            trial.write_results(job.token, results)
            folder.journal.write(completed(config, entry, results))
        # The journal is ahead of the experiment, so that there is no snapshot to take.
        study._ledger._snapshot_is_old = False
    return {"n_trials": n_trials}


def study_of(parallel: int) -> Any:
    """The study, launched if it is not there yet: the quickstart's search space and objective."""
    from bo_shaping.config import StudyConfig
    from bo_shaping.study import Study

    if (Path(os.environ["BO_SHAPING_STUDIES"]) / NAME).exists():
        return Study.load(NAME)
    loop = "experiments.benchmarks.outer_loop.fast_loop:run_trial"
    settings = [f"name={NAME}", f"inner_loop={loop}", "budget.trials=10000", f"budget.parallel={parallel}"]
    return Study.launch(StudyConfig.from_yaml(QUICKSTART, settings))


def wait(seconds: int, parallel: int) -> dict[str, Any]:
    """CPU seconds per second in which a driver of the whole study waits for `parallel` trials."""
    from bo_shaping.running import driver

    os.environ[WAIT_VARIABLE] = str(seconds)
    study = study_of(parallel)
    clocks: list[tuple[float, float]] = []
    sleep = time.sleep

    def noted(pause: float) -> None:
        clocks.append((time.monotonic(), time.process_time()))
        sleep(pause)

    driver.time = SimpleNamespace(sleep=noted)  # type: ignore[assignment]
    study.run(parallel)
    # The first and last polls also start and import trials.
    (began, cpu_began), (ended, cpu_ended) = clocks[len(clocks) // 4], clocks[3 * len(clocks) // 4]
    return {"parallel": parallel, "cpu_seconds_per_second": (cpu_ended - cpu_began) / (ended - began)}


def resume() -> dict[str, Any]:
    """Seconds from `Study.load` to the moment at which the driver asks for the next trial, imports apart."""
    start = time.monotonic()
    from bo_shaping.storage import ledger
    from bo_shaping.study import Study

    imports = time.monotonic() - start

    def propose(*arguments: Any, **options: Any) -> int:
        raise _ReachedProposalError

    ledger.propose = propose
    cpu, start = time.process_time(), time.monotonic()
    with contextlib.suppress(_ReachedProposalError):
        Study.load(NAME).run(1)
    return {
        "import_seconds": imports,
        "resume_seconds": time.monotonic() - start,
        "resume_cpu_seconds": time.process_time() - cpu,
    }


def rss_mb() -> float:
    """Resident memory of this process."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 1e6


if __name__ == "__main__":
    main(*sys.argv[1:])
