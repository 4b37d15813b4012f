"""How soon does a search of the wide space find something? Ours and its peers on the emulator of the wide surface.

    python -m experiments.benchmarks.outer_loop.wide_search --minutes 60

Five components and four parameters, noise as between trainings, the same for all methods; no method is told of common
seeds. One line of JSON per study goes to `--lines`, so that it continues where it was stopped.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import time
from pathlib import Path
from typing import Any

import numpy as np
from tabulate import tabulate

from bo_shaping.comparison.statistics import ratio_of_means
from experiments.benchmarks.outer_loop.methods import PROPOSER, code_of
from experiments.benchmarks.outer_loop.studies import AFTER, AX, LONGEST, METHODS, Study, read_lines
from experiments.benchmarks.outer_loop.train_wide_surface import PACKED
from experiments.benchmarks.outer_loop.wide_surface import RESULTS
from experiments.benchmarks.results_file import environment, installed, save

LINES = Path("models/outer-loop/wide-search.jsonl")
KIND = "wide"
ROUNDS = 40
AX_TRIALS = 15
JUDGED = (*AFTER, LONGEST)
"""Trials after which recommendations are compared."""
PACKAGES = ("ax-platform", "botorch", "gpytorch", "optuna", "tabulate")


def run(methods: tuple[str, ...], minutes: float, file: Path) -> None:
    """Run studies round by round until the time is over."""
    deadline = time.monotonic() + 60 * minutes
    file.parent.mkdir(parents=True, exist_ok=True)
    done, surface = of_today(file), surface_of_today()
    for index in range(ROUNDS):
        for method in methods:
            study = Study(KIND, index, method, common=False, n_trials=AX_TRIALS if method == AX else LONGEST)
            if study.key in done:
                continue
            if time.monotonic() > deadline:
                return
            with file.open("a", encoding="utf-8") as out:
                out.write(json.dumps(study.run() | {"surface": surface}) + "\n")


def surface_of_today() -> str:
    """Changes with the trainings that the emulator is fitted to."""
    return hashlib.sha256(PACKED.read_bytes()).hexdigest()[:12]


def of_today(file: Path) -> dict[tuple[Any, ...], dict[str, Any]]:
    """The studies that were run on today's surface, with today's code where it is ours."""
    codes, surface = ("", code_of(PROPOSER)), surface_of_today()
    lines = read_lines(file)
    return {key: line for key, line in lines.items() if line["code"] in codes and line.get("surface") == surface}


def measure(lines: list[dict[str, Any]]) -> dict[str, Any]:
    """Mean regrets by method, with 95 % bootstrap intervals; ours beside each other method on the rounds of both."""
    regrets = {
        (method, after): {line["index"]: line["regret"][str(after)] for line in lines if _is(line, method, after)}
        for method in METHODS
        for after in JUDGED
    }
    rows = []
    for (method, after), by_round in regrets.items():
        if not by_round:
            continue
        ours = regrets["ours", after]
        shared = sorted(by_round.keys() & ours.keys())
        ratio = (
            list(ratio_of_means(*np.array([[ours[i], by_round[i]] for i in shared]).T))
            if shared and method != "ours"
            else None
        )
        rows.append(
            {
                "method": method,
                "after": after,
                "studies": len(by_round),
                "regret": float(np.mean(list(by_round.values()))),
                "ours_beside": ratio,
            }
        )
    covered = [line["covered"] for line in lines if line["method"] == "ours"]
    coverage = {
        str(after): float(np.mean(found))
        for after in JUDGED
        if (found := [row[str(after)] for row in covered if str(after) in row])
    }
    return {"rows": rows, "coverage": coverage}


def _is(line: dict[str, Any], method: str, after: int) -> bool:
    return line["method"] == method and str(after) in line["regret"]


def table_of(result: dict[str, Any]) -> str:
    """The comparison, as text."""
    rows = [
        [
            row["after"],
            row["method"],
            row["studies"],
            f"{row['regret']:.3f}",
            "" if row["ours_beside"] is None else "{:.2f} ({:.2f} to {:.2f})".format(*row["ours_beside"]),
        ]
        for row in sorted(result["rows"], key=lambda row: (row["after"], row["regret"]))
    ]
    coverage = ", ".join(f"{share:.0%} after {after} trials" for after, share in result["coverage"].items())
    return (
        "regret of the recommendation; 1 is what a point drawn evenly loses. 95 % intervals over studies\n"
        + tabulate(rows, headers=["trials", "method", "studies", "regret", "ours / this"], disable_numparse=True)
        + f"\n\nour 90 % intervals hold the weights of the optimum: {coverage}"
    )


def main() -> None:
    """Run, then compare what there is, and store."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=float("inf"), help="start no study after so long")
    parser.add_argument("--method", choices=METHODS, action="append", help="run this one; may be repeated (all)")
    parser.add_argument("--lines", type=Path, default=LINES, help="where the lines are kept")
    arguments = parser.parse_args()

    import torch

    torch.set_num_threads(1)
    run(tuple(arguments.method or METHODS), arguments.minutes, arguments.lines)
    result = measure(list(of_today(arguments.lines).values()))
    save(RESULTS, "search", {"result": result, "environment": environment(installed(PACKAGES))})
    print(table_of(result))


if __name__ == "__main__":
    main()
