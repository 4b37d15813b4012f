"""Do older trials of another task help? Studies with and without them, on the emulator of the wide surface.

    python -m experiments.benchmarks.outer_loop.transfer --jobs 2

The older trials are those of the real studies of `related_studies`; for the same task, and for surfaces that have
nothing to do with it or are its opposite, those of studies on a function. One line of JSON per study goes to `--lines`,
so that it continues where it was stopped.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tabulate import tabulate

from bo_shaping.comparison.statistics import ratio_of_means
from experiments.benchmarks.outer_loop.methods import Ours
from experiments.benchmarks.outer_loop.problems import EmulatedProblem, wide_coordinates, wide_emulator
from experiments.benchmarks.outer_loop.related_studies import N_STUDIES, Trial, load
from experiments.benchmarks.outer_loop.related_tasks import TASKS
from experiments.benchmarks.outer_loop.runs import add_run, read_runs, run_in_parts
from experiments.benchmarks.outer_loop.wide_surface import RESULTS
from experiments.benchmarks.results_file import environment, installed, save

Array = NDArray[np.float64]

LINES = Path(__file__).parents[3] / "models" / "transfer-lines"
COMPONENTS = ("shap", "leave_one_out", "sparse")
"""As in `experiments/wide.yaml`."""
N_OLDER = 24
"""Trials of an older study."""
N_EMULATED = 4
"""Older studies on each function; every one serves as many rounds."""
AFTER = (4, 8)
"""Trials after which the recommendation is judged."""
ROUNDS = 30
COLD = "none"
TWO = " twice"
"""What follows the name of a task of which both studies are older ones."""
TITLES = {
    COLD: "no older trials",
    "same": "the same task",
    **{name: task.title for name, task in TASKS.items()},
    **{f"{name}{TWO}": f"{task.title}, two studies" for name, task in TASKS.items()},
    "random": "a random surface",
    "inverted": "the same task upside down",
}
PACKAGES = ("ax-platform", "botorch", "gpytorch", "tabulate")


@dataclass(frozen=True)
class Unrelated(EmulatedProblem):
    """The space of the embedded task with a surface that is not its own."""

    surface: Callable[[Array], Array] = np.sum
    """From `n x d` coordinates to `n` values."""

    def _worth(self, X: Array) -> Array:
        return self.surface(wide_coordinates(X, self.components))


def older(kind: str, index: int) -> list[dict[str, Any]]:
    """The related tasks of a study, as in its configuration."""
    if kind == COLD:
        return []
    if kind.endswith(TWO):
        task = kind.removesuffix(TWO)
        trials = [trial for number in range(N_STUDIES) for trial in load()[task, number]]
    elif kind in TASKS:
        trials = load()[kind, index % N_STUDIES]
    else:
        trials = _emulated(kind, index % N_EMULATED)
    return [{"source": kind, "differs": [TITLES[kind]], "trials": trials}]


@cache
def _emulated(kind: str, number: int) -> list[Trial]:
    """The trials of a study on a function."""
    truth = wide_emulator()[0]
    surfaces = {"same": truth, "inverted": lambda X: -truth(X), "random": _random_surface(number)}
    problem = Unrelated(1000 + number, COMPONENTS, surfaces[kind])
    method, trials = Ours(problem, 1000 + number), []
    for trial in range(N_OLDER):
        x, seed = method.ask()
        reward, kl = problem.observe(x, trial, None)
        method.tell(reward, kl)
        k = len(COMPONENTS)
        trials.append(
            {
                "weights": dict(zip(COMPONENTS, x[:k].tolist(), strict=True)),
                "parameters": dict(zip(problem.parameters, x[k:].tolist(), strict=True)),
                "outcomes": {"reward": reward, "kl": kl},
                "seeds": [seed],
            }
        )
    return trials


def _random_surface(number: int) -> Callable[[Array], Array]:
    """A smooth random function by random Fourier features, that varies as much as the embedded task's emulator."""
    rng = np.random.default_rng([number, 77])
    truth, points = wide_emulator()[0], rng.random((512, 12))
    frequencies = rng.normal(size=(12, 64)) / 0.7
    phases, amplitudes = rng.uniform(0, 2 * np.pi, 64), rng.normal(size=64)

    def value(X: Array) -> Array:
        return np.asarray(np.cos(X @ frequencies + phases) @ amplitudes)

    scale = truth(points).std() / value(points).std()
    return lambda X: scale * value(X)


def run(kind: str, index: int) -> dict[str, Any]:
    """The line of one study."""
    problem = EmulatedProblem(index, COMPONENTS)
    method, regret = Ours(problem, index, older(kind, index)), {}
    for trial in range(AFTER[-1]):
        x, _ = method.ask()
        method.tell(*problem.observe(x, trial, None))
        if trial + 1 in AFTER:
            regret[str(trial + 1)] = round(problem.regret(method.recommend()), 6)
    return {"kind": kind, "index": index, "regret": regret}


def measure(lines: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Mean regrets by kind of older trials, and beside those of studies without, with 95 % bootstrap intervals."""
    by_kind = {kind: {line["index"]: line for line in lines if line["kind"] == kind} for kind in TITLES}
    rows = []
    for kind, found in by_kind.items():
        shared = sorted(found.keys() & by_kind[COLD].keys())
        for after in AFTER if shared else ():
            pairs = np.array([[at[i]["regret"][str(after)] for at in (found, by_kind[COLD])] for i in shared])
            rows.append(
                {
                    "older": kind,
                    "title": TITLES[kind],
                    "after": after,
                    "studies": len(shared),
                    "regret": float(pairs[:, 0].mean()),
                    "beside_none": None if kind == COLD else list(ratio_of_means(*pairs.T)),
                }
            )
    return rows


def table_of(rows: list[dict[str, Any]]) -> str:
    """The comparison, as text."""
    texts = [
        [
            row["after"],
            row["title"],
            row["studies"],
            f"{row['regret']:.3f}",
            "" if row["beside_none"] is None else "{:.2f} ({:.2f} to {:.2f})".format(*row["beside_none"]),
        ]
        for row in sorted(rows, key=lambda row: row["after"])
    ]
    headers = ["trials", f"{N_OLDER} older trials (a study) of", "studies", "regret", "beside none"]
    return (
        "regret of the recommendation; 1 is what a point drawn evenly loses. 95 % intervals over studies\n"
        + tabulate(texts, headers=headers, disable_numparse=True)
    )


def main() -> None:
    """Run what is missing, then compare and store."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--jobs", type=int, default=2, help="studies at the same time")
    parser.add_argument("--rounds", type=int, default=ROUNDS, help=f"studies of each kind ({ROUNDS})")
    parser.add_argument(
        "--kind", choices=TITLES, action="append", help="this kind of older trials; may be repeated (all)"
    )
    parser.add_argument("--lines", type=Path, default=LINES, help="where the lines are kept")
    parser.add_argument("--part", type=int, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.part is None:
        ended_well = run_in_parts(__spec__.name, sys.argv[1:], arguments.jobs)
        rows = measure(read_runs(arguments.lines))
        save(RESULTS, "transfer", {"result": rows, "environment": environment(installed(PACKAGES))})
        print(table_of(rows))
        sys.exit(not ended_well)

    import torch

    torch.set_num_threads(1)
    done = {(line["kind"], line["index"]) for line in read_runs(arguments.lines)}
    todo = [(kind, index) for index in range(arguments.rounds) for kind in arguments.kind or TITLES]
    for kind, index in todo[arguments.part :: arguments.jobs]:
        if (kind, index) not in done:
            add_run(run(kind, index), arguments.lines / f"{arguments.part}.jsonl")


if __name__ == "__main__":
    main()
