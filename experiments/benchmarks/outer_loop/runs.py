"""Trainings by several processes, one line of JSON each, so that a stopped run continues where it was."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bo_shaping.executors.worker import thread_limits
from inner_loop.errors import DivergedError
from inner_loop.spec import TrialSpec

Run = dict[str, Any]


def read_runs(folder: Path) -> list[Run]:
    """All trainings so far."""
    return [json.loads(line) for file in sorted(folder.glob("*.jsonl")) for line in file.read_text().splitlines()]


def add_run(run: Run, file: Path) -> None:
    """Write down one more training."""
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("a", encoding="utf-8") as out:
        out.write(json.dumps(run) + "\n")


def train_each(todo: Sequence[tuple[Run, TrialSpec]], folder: Path) -> None:
    """Train what has no result in the folder yet, and write down the learning curves.

    Args:
        todo: What tells a training from the others, and the training.
        folder: Where results go, one file per process.
    """
    from inner_loop import result_of, run_trial

    done = read_runs(folder)
    file = folder / f"{platform.node()}-{os.getpid()}.jsonl"
    for key, spec in todo:
        if any(key.items() <= run.items() for run in done):
            continue
        try:
            result = result_of(run_trial(spec))
        except DivergedError as error:
            outcome: Run = {"diverged": str(error)}
        else:
            outcome = {
                "curve": [[point.step, round(point.mean, 5), round(point.kl, 5)] for point in result.curve],
                "seconds": {phase: round(seconds, 2) for phase, seconds in result.seconds.items()},
                "n_evaluations": sum(step.n_evaluations for step in result.steps),
            }
        add_run(key | outcome, file)


def run_in_parts(module: str, arguments: Sequence[str], jobs: int) -> bool:
    """Start `jobs` processes of a module, each with its `--part`, one thread each; whether all of them ended well."""
    environment = os.environ | thread_limits(1)
    command = [sys.executable, "-m", module, *arguments]
    parts = [subprocess.Popen([*command, "--part", str(part)], env=environment) for part in range(jobs)]
    codes = [part.wait() for part in parts]
    return not any(codes)
