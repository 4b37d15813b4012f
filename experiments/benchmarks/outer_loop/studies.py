"""Runs studies on problems with a known truth, one line of JSON each, and continues where it was stopped.

    python -m experiments.benchmarks.outer_loop.studies --minutes 60

Rounds go over all kinds of problems, so that whenever it is stopped every kind has as many. Ax, which takes most of
the time, is run for 15 trials, and for 25 with `--ax-trials 25`. Lines of ours that other code than today's made are
made anew. `efficiency` reads the lines.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from experiments.benchmarks.outer_loop.methods import PROPOSER, Ours, code_of, make_method
from experiments.benchmarks.outer_loop.problems import make_problem

LINES = Path("models/outer-loop/studies.jsonl")
KINDS = ("k=3", "k=5", "table")
AX = "Ax"
METHODS = (AX, "ours", "Optuna TPE", "Optuna GP", "Sobol", "random")
AFTER = (10, 15, 25)
"""Trials after which the recommendation is judged."""
LONGEST = 40
"""Trials after which that of a longer study is judged once more."""
ROUNDS = 60


@dataclass(frozen=True)
class Study:
    """One method on one problem."""

    kind: str
    index: int
    method: str
    common: bool
    """Whether trials share the noise of their seed (common random numbers)."""
    n_trials: int

    @property
    def key(self) -> tuple[Any, ...]:
        """What tells one study from another; only ours depends on code of ours."""
        return (self.kind, self.index, self.method, self.common, code_of(PROPOSER) if self.method == "ours" else "")

    def run(self) -> dict[str, Any]:
        """The line of this study."""
        problem = make_problem(self.kind, self.index)
        start = time.process_time()
        method = make_method(self.method, problem, self.index)
        regret, covered, width = {}, {}, {}
        for trial in range(self.n_trials):
            x, seed = method.ask()
            method.tell(*problem.observe(x, trial, seed if self.common else None))
            if trial + 1 in (*AFTER, LONGEST):
                after = str(trial + 1)
                regret[after] = round(problem.regret(method.recommend()), 6)
                if isinstance(method, Ours):
                    intervals = method.intervals()
                    covered[after] = [holds(pair, best) for pair, best in zip(intervals, problem.optimum, strict=False)]
                    width[after] = round(sum(high - low for low, high in intervals) / len(intervals), 4)
        kind, index, name, common, code = self.key
        return {
            "kind": kind,
            "index": index,
            "method": name,
            "common": common,
            "code": code,
            "n_trials": self.n_trials,
            "cpu_seconds": round(time.process_time() - start, 2),
            "regret": regret,
            "covered": covered,
            "width": width,
        }


def holds(interval: tuple[float, float], value: float) -> bool:
    """Whether a value is in an interval, up to a hair's breadth: weights are rounded on their way."""
    low, high = interval
    return bool(low - 1e-6 <= value <= high + 1e-6)


def plan(methods: tuple[str, ...], kinds: tuple[str, ...], ax_trials: int) -> Iterator[Study]:
    """Studies in the order in which they are worth running."""
    for index in range(ROUNDS):
        for kind in kinds:
            for method in methods:
                # Ax is compared as it comes; the cheap ones show that sharing seeds helps everybody.
                for common in (False,) if method == AX else (False, True):
                    yield Study(kind, index, method, common, ax_trials if method == AX else AFTER[-1])


def read_lines(file: Path) -> dict[tuple[Any, ...], dict[str, Any]]:
    """Studies that have been run, the longest of each."""
    lines: dict[tuple[Any, ...], dict[str, Any]] = {}
    for text in file.read_text(encoding="utf-8").splitlines() if file.exists() else []:
        line = json.loads(text)
        key = tuple(line[name] for name in ("kind", "index", "method", "common", "code"))
        if key not in lines or line["n_trials"] >= lines[key]["n_trials"]:
            lines[key] = line
    return lines


def main() -> None:
    """Run until the time is over or nothing is left."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=float("inf"), help="start no study after so long")
    parser.add_argument("--method", choices=METHODS, action="append", help="run this one; may be repeated (all)")
    parser.add_argument("--kind", choices=KINDS, action="append", help="on this kind; may be repeated (all)")
    parser.add_argument("--ax-trials", type=int, choices=AFTER, default=15)
    parser.add_argument("--lines", type=Path, default=LINES, help="where the lines are kept")
    arguments = parser.parse_args()

    import torch

    torch.set_num_threads(1)
    deadline = time.monotonic() + 60 * arguments.minutes
    done = read_lines(arguments.lines)
    arguments.lines.parent.mkdir(parents=True, exist_ok=True)
    for study in plan(tuple(arguments.method or METHODS), tuple(arguments.kind or KINDS), arguments.ax_trials):
        if time.monotonic() > deadline:
            break
        known = done.get(study.key)
        if known is not None and known["n_trials"] >= study.n_trials:
            continue
        line = study.run()
        with arguments.lines.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")
        print(json.dumps(line), flush=True)


if __name__ == "__main__":
    main()
