"""Runs the benchmark, prints its tables and writes `results/outer_loop.json`.

    pip install optuna
    python -m experiments.benchmarks.outer_loop.studies --minutes 120
    python -m experiments.benchmarks.outer_loop
    python -m experiments.benchmarks.outer_loop --only candidates --only scale

The part efficiency reads what `studies` has run so far, which takes hours for all of it. Parts that are not run keep
their results in the file. `--quick` makes every part small, to see that it runs. Exits with 1 if a bar is missed.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path
from types import ModuleType
from typing import Any

from experiments.benchmarks.bars import as_json
from experiments.benchmarks.outer_loop import candidates, description, efficiency, scale
from experiments.benchmarks.results_file import environment, installed, save

PARTS: dict[str, ModuleType] = {
    "surface": description,
    "candidates": candidates,
    "efficiency": efficiency,
    "scale": scale,
}
WORK = Path("models/outer-loop")
PACKAGES = ("ax-platform", "botorch", "gpytorch", "optuna")
OUTPUT = Path(__file__).resolve().parents[1] / "results" / "outer_loop.json"


def main() -> int:
    """The command line; returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m experiments.benchmarks.outer_loop",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--only", choices=tuple(PARTS), action="append", help="run this part; may be repeated (all)")
    parser.add_argument("--quick", action="store_true", help="a small version of every part")
    parser.add_argument("--driven", type=int, help="scale: trials at the end of a leg that are driven (all)")
    parser.add_argument("--work", type=Path, default=WORK, help="where `studies` and candidates keep their lines")
    parser.add_argument("--output", type=Path, default=OUTPUT, help="the JSON file")
    arguments = parser.parse_args()

    import torch

    torch.set_num_threads(1)  # CPU seconds of one thread can be compared
    missed = 0
    for part in arguments.only or PARTS:
        start = time.monotonic()
        print(f"\n# {part}", flush=True)
        result = measure(part, quick=arguments.quick, work=arguments.work, driven=arguments.driven)
        bars = PARTS[part].bars(result)
        print(PARTS[part].table_of(result), *bars, sep="\n", flush=True)
        missed += sum(not bar.passed for bar in bars)
        record = {
            "environment": environment(installed(PACKAGES)),
            "quick": arguments.quick,
            "minutes": round((time.monotonic() - start) / 60, 1),
            "bars": as_json(bars),
            "result": result,
        }
        save(arguments.output, part, record)
    print(f"\n{'all bars reached' if not missed else f'{missed} bars missed'}; results in {arguments.output}")
    return int(missed > 0)


def measure(part: str, *, quick: bool, work: Path, driven: int | None = None) -> dict[str, Any]:
    """Results of one part as plain data."""
    if part == "candidates":
        with tempfile.TemporaryDirectory() as folder:
            if quick:
                return candidates.measure(Path(folder) / "candidates.jsonl", n_states=2, n_plain=1)
        return candidates.measure(work / "candidates.jsonl")
    if part == "scale":
        return scale.measure(legs=(12, 16, 20), wait_seconds=4) if quick else scale.measure(driven=driven)
    if part == "efficiency":
        return efficiency.measure(work / "studies.jsonl")
    return description.measure()


if __name__ == "__main__":
    sys.exit(main())
