"""Runs the benchmark, prints its tables and writes `results/ppo.json`.

    python -m experiments.fetch_models --only SmolLM2-135M-Instruct
    python -m experiments.benchmarks.ppo --trl-python /path/to/python
    python -m experiments.benchmarks.ppo --only setup --only shaping

`--trl-python` is a Python that has trl 1.9.2 (`pip install trl==1.9.2` in an environment of its own): the same jobs run
there. Without it, trl's rows are left out. Parts that are not run keep their results in the file. `--quick` makes every
part small, to see that it runs. Exits with 1 if a bar is missed, and with 2 if something is not as it has to be.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from experiments.benchmarks.bars import Bar, as_json
from experiments.benchmarks.ppo import checkpoints, learning, parallel, setup, shaping, speed
from experiments.benchmarks.ppo.contenders import ContenderError, check_trl
from experiments.benchmarks.ppo.jobs import EMBEDDED, SMOLLM2, speed_job
from experiments.benchmarks.results_file import environment, save

PARTS = ("setup", "shaping", "checkpoints", "speed", "memory", "parallel", "learning")
AGAINST_TRL = {"speed", "memory", "learning"}
OUTPUT = Path(__file__).resolve().parents[1] / "results" / "ppo.json"


def main() -> int:
    """The command line; returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m experiments.benchmarks.ppo",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--only", choices=PARTS, action="append", help="run this part; may be repeated (all)")
    parser.add_argument("--trl-python", help="a Python that has trl 1.9.2")
    parser.add_argument("--job", choices=tuple(speed.MODES), action="append", help="of the part speed (all)")
    parser.add_argument("--quick", action="store_true", help="a small version of every part")
    parser.add_argument("--output", type=Path, default=OUTPUT, help="the JSON file")
    arguments = parser.parse_args()
    try:
        return run(arguments)
    except ContenderError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2


def run(arguments: argparse.Namespace) -> int:
    """All parts that are wanted, each saved when it is done."""
    import torch

    torch.set_num_threads(1)
    parts = arguments.only or list(PARTS)
    if arguments.trl_python is not None:
        check_trl(arguments.trl_python)
    elif AGAINST_TRL & set(parts):
        print(speed.NO_TRL)
    missed = 0
    measured: dict[str, Any] = {}
    for part, job in tasks(parts, arguments.job or list(speed.MODES)):
        start = time.monotonic()
        print(f"\n# {part} {job}".rstrip(), flush=True)
        if not speed.is_here(job or EMBEDDED):
            print(speed.NO_SMOLLM2)
            continue
        # The same processes tell of time and of memory.
        result = measured.get(job) or run_part(part, job, arguments.trl_python, quick=arguments.quick)
        if job:
            measured[job] = result
        bars, text = judge(part, result)
        print(text, *bars, sep="\n", flush=True)
        missed += sum(not bar.passed for bar in bars)
        record = {
            "environment": environment({}),
            "quick": arguments.quick,
            "minutes": round((time.monotonic() - start) / 60, 1),
            "bars": as_json(bars),
            "result": result,
        }
        save(arguments.output, f"{part} {job}".rstrip(), record)
    print(f"\n{'all bars reached' if not missed else f'{missed} bars missed'}; results in {arguments.output}")
    return int(missed > 0)


def tasks(parts: Sequence[str], jobs: Sequence[str]) -> list[tuple[str, str]]:
    """Parts with the jobs they are run on, or with nothing where there is no choice."""
    chosen = []
    for part in parts:
        if part == "speed":
            chosen += [(part, job) for job in jobs]
        else:
            chosen.append((part, SMOLLM2 if part == "memory" else ""))
    return chosen


def run_part(part: str, job: str, trl_python: str | None, *, quick: bool) -> dict[str, Any]:
    """Results as plain data."""
    if part in ("speed", "memory"):
        return speed.measure(job, trl_python, steps=1 if quick else speed.N_STEPS, quick=quick)
    if part == "setup":
        return setup.measure(trials=2, steps=1, batch=4, response_tokens=4) if quick else setup.measure()
    if part == "shaping":
        return shaping.measure(job=speed_job(EMBEDDED).shortened(), steps=1, repeats=2) if quick else shaping.measure()
    if part == "checkpoints":
        return checkpoints.measure(steps=1, repeats=1, quick=True) if quick else checkpoints.measure()
    if part == "parallel":
        return parallel.measure(rounds=1, steps=1, quick=True) if quick else parallel.measure()
    return learning.measure(trl_python, steps=1, seeds=2, n_prompts=8) if quick else learning.measure(trl_python)


def judge(part: str, result: dict[str, Any]) -> tuple[list[Bar], str]:
    """Bars and a table."""
    if part == "speed":
        return speed.speed_bars(result), speed.table_of(result)
    if part == "memory":
        return speed.memory_bars(result), speed.table_of(result)
    if part == "checkpoints":  # there is no bar on it
        return [], checkpoints.table_of(result)
    modules = {"setup": setup, "shaping": shaping, "parallel": parallel, "learning": learning}
    return modules[part].bars(result), modules[part].table_of(result)


if __name__ == "__main__":
    sys.exit(main())
