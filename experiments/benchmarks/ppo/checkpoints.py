"""What a checkpoint costs beside the steps that lie between two of them."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

from experiments.benchmarks.ppo.jobs import EMBEDDED, SMOLLM2, Job, speed_job
from experiments.benchmarks.ppo.our_job import Training
from experiments.benchmarks.ppo.speed import is_here
from inner_loop import TrialSpec
from inner_loop.checkpoint import CheckpointFolder, TrialState

EVERY = 10
"""Steps between two checkpoints, as `run_trial` has it."""


def measure(*, steps: int = 2, repeats: int = 5, quick: bool = False) -> dict[str, Any]:
    """Seconds of steps (all layers, bfloat16; the first not counted) and of checkpoints of what they train, by job."""
    names = [EMBEDDED] if quick else [name for name in (EMBEDDED, SMOLLM2) if is_here(name)]
    jobs = {name: speed_job(name).shortened() if quick else speed_job(name) for name in names}
    return {name: measure_job(job, steps=steps, repeats=repeats) for name, job in jobs.items()}


def measure_job(job: Job, *, steps: int, repeats: int) -> dict[str, Any]:
    """CPU and wall seconds per step and per checkpoint of one job, and the size of its file."""
    training = Training(job, precision="bfloat16")
    training.step()
    spec = TrialSpec(weights={"sparse": 1.0})
    state = TrialState(spec=spec, curve=[], steps=[], seconds={}, numbers=training.trainer.numbers(), prompt_queue=[])
    with TemporaryDirectory() as folder:
        checkpoints = CheckpointFolder(Path(folder), spec)
        taken = [timed(training.step) for _ in range(steps)]
        saved = [
            timed(lambda: checkpoints.save(state, training.trainer.actor_critic.training_state()))
            for _ in range(repeats)
        ]
        size = sum(file.stat().st_size for file in Path(folder).iterdir())
    return {"step": taken, "checkpoint": saved, "megabytes": size / 1e6}


def timed(call: Callable[[], object]) -> dict[str, float]:
    """CPU seconds, in which a disk is not waited for, and wall seconds."""
    cpu, wall = time.process_time(), time.perf_counter()
    call()
    return {"cpu": time.process_time() - cpu, "wall": time.perf_counter() - wall}


def share(job: dict[str, Any], clock: str) -> float:
    """A checkpoint in units of the steps between two: median over median, by the `cpu` or the `wall` clock."""
    checkpoint, step = (median(times[clock] for times in job[part]) for part in ("checkpoint", "step"))
    return checkpoint / (EVERY * step)


def table_of(result: dict[str, Any]) -> str:
    """One line per job."""
    return "\n".join(
        f"{name}: a checkpoint of {job['megabytes']:.0f} MB every {EVERY} steps takes {share(job, 'cpu'):.2%} of their "
        f"CPU time, {share(job, 'wall'):.2%} of the time they take"
        for name, job in result.items()
    )
