"""Two one-thread trainings at the same time against one after the other: what a second core is worth.

Wall seconds, so the machine must be quiet: the load before the first round is in the results. A round is the same
number of steps of both, first in turns, then together.
"""

from __future__ import annotations

import os
import time
from contextlib import ExitStack
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

from experiments.benchmarks.bars import Bar
from experiments.benchmarks.ppo.contenders import Contender, ours
from experiments.benchmarks.ppo.jobs import EMBEDDED, speed_job

LIMIT = 1.7
N_ROUNDS = 5
STEPS = 6
"""Of each training, in each half of a round."""


def measure(*, rounds: int = N_ROUNDS, steps: int = STEPS, quick: bool = False) -> dict[str, Any]:
    """Wall seconds of every round, in turns and together."""
    load = os.getloadavg()
    job = speed_job(EMBEDDED)
    seconds: dict[str, list[float]] = {"in_turns": [], "together": []}
    with TemporaryDirectory() as folder, ExitStack() as stack:
        path = (job.shortened() if quick else job).write(Path(folder) / "job.json")
        pair = [
            stack.enter_context(Contender(ours(path, "bfloat16"), Path(folder) / f"{index}.log")) for index in range(2)
        ]
        for turn in range(rounds + 1):
            start = time.perf_counter()
            for contender in pair:
                contender.step(steps)
            middle = time.perf_counter()
            for contender in pair:
                contender.send(steps)
            for contender in pair:
                contender.record()
            if turn:
                seconds["in_turns"].append(middle - start)
                seconds["together"].append(time.perf_counter() - middle)
    return {"cpus": os.cpu_count(), "load_average_before": load, "steps": steps, "wall_seconds": seconds}


def speedups(result: dict[str, Any]) -> list[float]:
    """Seconds in turns over seconds together, round by round."""
    seconds = result["wall_seconds"]
    return [apart / both for apart, both in zip(seconds["in_turns"], seconds["together"], strict=True)]


def bars(result: dict[str, Any]) -> list[Bar]:
    """The interval is the range over rounds."""
    values = speedups(result)
    note = f"load average {result['load_average_before'][0]:.1f} before, {result['cpus']} CPUs"
    name = "two trainings at once against one after the other"
    return [Bar(name, median(values), ">=", LIMIT, min(values), max(values), note)]


def table_of(result: dict[str, Any]) -> str:
    """One line."""
    seconds = result["wall_seconds"]
    return (
        f"{len(seconds['together'])} rounds of {result['steps']} steps of two trainings: "
        f"{median(seconds['in_turns']):.1f} s in turns, {median(seconds['together']):.1f} s together"
    )
