"""CPU seconds and peak memory of a step: ours, in every mode that has a bar, and trl's.

Every contender is a process of its own on one thread. They take their steps in turns, one at a time, so that a slow
minute of the machine hits all alike; the first step of each is not counted. A ratio is the median of the ratios within
a turn, and its interval their range. All responses have the same number of tokens on both sides.
"""

from __future__ import annotations

import os
from contextlib import ExitStack
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

from tabulate import tabulate

from experiments.benchmarks.bars import Bar
from experiments.benchmarks.ppo.contenders import Contender, ours, trl
from experiments.benchmarks.ppo.jobs import EMBEDDED, SMOLLM2, SMOLLM2_FOLDER, speed_job

TRL = "trl 1.9.2"
N_STEPS = 5
MODES: dict[str, dict[str, tuple[str, int | None]]] = {
    EMBEDDED: {"bfloat16": ("bfloat16", None), "float32": ("float32", None), "bfloat16, top 2 of 4": ("bfloat16", 2)},
    SMOLLM2: {"bfloat16": ("bfloat16", None), "bfloat16, top 10 of 30": ("bfloat16", 10)},
}
"""Our contenders: precision and trained layers."""
SPEED_LIMITS = {
    (EMBEDDED, "bfloat16"): 3.0,
    (EMBEDDED, "float32"): 1.6,
    (SMOLLM2, "bfloat16"): 2.2,
    (SMOLLM2, "bfloat16, top 10 of 30"): 4.0,
}
"""Least tokens per second, in units of trl's."""
MEMORY_LIMITS = {(SMOLLM2, "bfloat16"): 0.9, (SMOLLM2, "bfloat16, top 10 of 30"): 0.65}
"""Largest peak memory, in units of trl's."""
NO_SMOLLM2 = f"{SMOLLM2} is left out: `python -m experiments.fetch_models` makes {SMOLLM2_FOLDER}."
NO_TRL = "trl's rows are left out, and with them the bars against it: give --trl-python a Python that has trl 1.9.2."


def measure(name: str, trl_python: str | None, *, steps: int = N_STEPS, quick: bool = False) -> dict[str, Any]:
    """Per contender of a job: CPU seconds, wall seconds and tokens of every counted step, and peak memory."""
    load = os.getloadavg()
    measured = measure_job(name, trl_python, steps=steps, quick=quick)
    return {"steps": steps, "load_average_before": load, "jobs": {name: measured}}


def is_here(name: str) -> bool:
    """Whether the policy of a job is."""
    return name == EMBEDDED or (SMOLLM2_FOLDER / "config.json").is_file()


def measure_job(name: str, trl_python: str | None, *, steps: int, quick: bool) -> dict[str, Any]:
    """One job's contenders, in turns."""
    job = speed_job(name)
    with TemporaryDirectory() as folder, ExitStack() as stack:
        path = (job.shortened() if quick else job).write(Path(folder) / "job.json")
        commands = {mode: ours(path, *options) for mode, options in MODES[name].items()}
        if trl_python is not None:
            commands[TRL] = trl(trl_python, path)
        contenders = {
            mode: stack.enter_context(Contender(command, Path(folder) / f"{mode}.log"))
            for mode, command in commands.items()
        }
        records: dict[str, list[dict[str, float]]] = {mode: [] for mode in contenders}
        for turn in range(steps + 1):
            for mode, contender in contenders.items():
                record = contender.step()
                if turn:
                    records[mode].append(record)
        peaks = {mode: contender.finish()["peak_mb"] for mode, contender in contenders.items()}
    return {
        mode: {key: [record[key] for record in taken] for key in ("cpu_seconds", "wall_seconds", "tokens")}
        | {"peak_mb": peaks[mode]}
        for mode, taken in records.items()
    }


def tokens_per_second(measured: dict[str, Any]) -> list[float]:
    """Response tokens per CPU second, step by step."""
    return [tokens / cpu for tokens, cpu in zip(measured["tokens"], measured["cpu_seconds"], strict=True)]


def gains(job: dict[str, Any], mode: str) -> list[float]:
    """Tokens per second of `mode` in units of trl's, turn by turn."""
    pairs = zip(tokens_per_second(job[mode]), tokens_per_second(job[TRL]), strict=True)
    return [own / theirs for own, theirs in pairs]


def speed_bars(result: dict[str, Any]) -> list[Bar]:
    """The bars on tokens per second that could be measured."""
    bars = []
    for (name, mode), limit in SPEED_LIMITS.items():
        job = result["jobs"].get(name, {})
        if TRL in job and mode in job:
            gain = gains(job, mode)
            bars.append(Bar(f"tokens/s against trl, {name}, {mode}", median(gain), ">=", limit, min(gain), max(gain)))
    return bars


def memory_bars(result: dict[str, Any]) -> list[Bar]:
    """The bars on peak memory that could be measured."""
    bars = []
    for (name, mode), limit in MEMORY_LIMITS.items():
        job = result["jobs"].get(name, {})
        if TRL in job and mode in job:
            share = job[mode]["peak_mb"] / job[TRL]["peak_mb"]
            bars.append(Bar(f"peak memory against trl, {name}, {mode}", share, "<=", limit))
    return bars


def table_of(result: dict[str, Any]) -> str:
    """One row per job and contender."""
    rows = []
    for name, job in result["jobs"].items():
        for mode, measured in job.items():
            cpu, gain = measured["cpu_seconds"], gains(job, mode) if TRL in job else None
            rows.append(
                [
                    name,
                    mode if mode == TRL else f"ours, {mode}",
                    f"{median(cpu):.2f} ({min(cpu):.2f}-{max(cpu):.2f})",
                    f"{median(measured['wall_seconds']):.2f}",
                    f"{median(tokens_per_second(measured)):.1f}",
                    "" if gain is None else f"{median(gain):.2f}x",
                    f"{measured['peak_mb']:.0f}",
                    "" if gain is None else f"{measured['peak_mb'] / job[TRL]['peak_mb']:.2f}x",
                ]
            )
    headers = ["job", "trainer", "CPU s per step (range)", "wall s", "tokens/CPU s", "to trl", "peak MB", "to trl"]
    return tabulate(rows, headers=headers, tablefmt="github", disable_numparse=True)
