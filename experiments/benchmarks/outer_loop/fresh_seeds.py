"""Do the best settings of the wide surface hold up, beside sparse and the papers' setting?

    python -m experiments.benchmarks.outer_loop.fresh_seeds --jobs 2

The settings: the best point of the emulator anywhere; the best of Shapley credit alone; the papers' fixed setting; and
sparse at its own best parameters, found on a grid of its own, since the emulator has too few sparse arms to know that
sparse needs another lambda. Each is trained with the same seeds, none of which the surface has seen, and judged on
held-out prompts. Differences are paired by seed. Trainings go to `--runs`, one line each, so that it continues where it
was stopped, and all together into `fresh_seeds.json.gz`.
"""

from __future__ import annotations

import argparse
import gzip
import itertools
import json
import math
import sys
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import qmc, t
from tabulate import tabulate

from bo_shaping.surrogate.held_reward import Height, held_curve, held_reward
from experiments.benchmarks.outer_loop.problems import wide_emulator
from experiments.benchmarks.outer_loop.runs import Run, add_run, read_runs, run_in_parts
from experiments.benchmarks.outer_loop.train_wide_surface import (
    BOX,
    COMPONENTS,
    STEPS,
    Arm,
    parameters_at,
    spec_of,
)
from experiments.benchmarks.outer_loop.wide_surface import RESULTS, USUAL_BUDGET, coordinates
from experiments.benchmarks.results_file import environment, installed, save

Array = NDArray[np.float64]

FILE = Path(__file__).with_name("fresh_seeds.json.gz")
"""All trainings, for whoever wants to count again."""
RUNS = Path(__file__).parents[3] / "models" / "fresh-seeds-runs"
SEEDS = tuple(range(100, 110))
N_CANDIDATES = 8192
N_RESAMPLES = 2000
PAPERS: Arm = {
    **{f"w_{name}": float(name == "shap") for name in COMPONENTS},
    "max_units": 8,
    "gae_lambda": 0.95,
    "learning_rate": 4e-4,
    "kl_coef": 0.2,
    "sharpness": 1.0,
    "to_sparse": 0.0,
    "critic_lambda": 0.95,
}
"""Shapley values of spans with the usual lambda, at the learning rate and KL price of the quickstart."""
SPARSE_GRID = {"gae_lambda": (0.9, 0.95, 1.0), "learning_rate": (4e-4, 8e-4, 1.6e-3), "kl_coef": (0.05, 0.2)}
GRID, GRID_SEEDS = "sparse grid", (0, 1)
SPARSE, PAPERS_SETTING = "sparse, its best", "Shapley, the papers' setting"
"""The settings with which the others are compared."""
UNTUNED: Arm = PAPERS | {"max_units": 20, "gae_lambda": 0.7, "critic_lambda": 0.7, "learning_rate": 8e-4}
"""Token-level Shapley credit with a shorter horizon at twice the learning rate: what one would try without a study."""
BY_EMULATOR = {"Shapley, its best": "shap", "best anywhere": None}
"""Settings that the emulator chooses: of one component alone, or of all."""


def sparse_grid() -> list[Arm]:
    """Sparse arms, of which the best is what sparse is compared with."""
    return [
        PAPERS
        | {f"w_{name}": float(name == "sparse") for name in COMPONENTS}
        | {"gae_lambda": value, "critic_lambda": value, "learning_rate": rate, "kl_coef": price}
        for value, rate, price in itertools.product(*SPARSE_GRID.values())
    ]


def settings(runs: list[Run]) -> dict[str, Arm]:
    """The arms that are compared, by name; sparse is the best of its grid so far.

    What was begun goes on: an arm that the emulator chose stays, also after more trainings have taught it better.
    """
    begun = {run["setting"]: run["arm"] for run in runs}
    tuned = [_tuned(runs, arm) for arm in sparse_grid()]
    return {
        SPARSE: sparse_grid()[int(np.argmax(tuned))],
        PAPERS_SETTING: PAPERS,
        "Shapley, a guess without a study": UNTUNED,
        **{name: begun.get(name) or _best(component) for name, component in BY_EMULATOR.items()},
    }


def _tuned(runs: list[Run], arm: Arm) -> float:
    values = [
        held_reward([Height(*point) for point in run["curve"]], STEPS, USUAL_BUDGET)
        for run in runs
        if run["setting"] == GRID and run["arm"] == arm
    ]
    return float(np.mean(values)) if values else -math.inf


def _best(component: str | None) -> Arm:
    """The candidate that the emulator expects most of; of one component alone if it is named.

    What was found not to matter stays as it usually is, so that no setting is longer than it need be.
    """
    rng = np.random.default_rng(0)
    shares = qmc.Sobol(len(BOX), rng=rng).random(N_CANDIDATES)
    weights = rng.dirichlet(np.full(len(COMPONENTS), 0.6), N_CANDIDATES).round(2)
    weights[:, -1] = (1 - weights[:, :-1].sum(axis=1)).round(2)
    arms = []
    for row, point in zip(weights, shares, strict=True):
        mixture = dict(zip(COMPONENTS, row.tolist(), strict=True))
        if component is not None:
            mixture = {name: float(name == component) for name in COMPONENTS}
        elif min(mixture.values()) < 0:
            continue
        arm = {f"w_{name}": weight for name, weight in mixture.items()}
        arm |= {name: float(f"{value:.2g}") for name, value in parameters_at(point).items()}
        arm |= {"sharpness": 1.0, "to_sparse": 0.0, "critic_lambda": arm["gae_lambda"]}
        arms.append(arm)
    emulator, _ = wide_emulator()
    expected = emulator(np.array([coordinates(arm) for arm in arms]))
    return arms[int(expected.argmax())]


def known_runs(folder: Path) -> list[Run]:
    """The stored trainings, and those of a folder that are not among them."""
    with gzip.open(FILE, "rt", encoding="utf-8") as stream:
        stored: list[Run] = json.load(stream)
    return [*stored, *(run for run in read_runs(folder) if run not in stored)]


def train(folder: Path, part: int, parts: int, *, is_grid: bool) -> None:
    """Train every `parts`-th arm and seed that has no result yet, from `part` on."""
    from inner_loop import result_of, run_trial

    runs = known_runs(folder)
    if is_grid:
        todo = [(GRID, arm, seed) for seed in GRID_SEEDS for arm in sparse_grid()]
    else:
        todo = [(name, arm, seed) for seed in SEEDS for name, arm in settings(runs).items()]
    for name, arm, seed in todo[part::parts]:
        if any((run["setting"], run["arm"], run["seed"]) == (name, arm, seed) for run in runs):
            continue
        result = result_of(run_trial(spec_of(arm, seed, split="validation" if is_grid else "heldout")))
        run = {
            "setting": name,
            "arm": arm,
            "seed": seed,
            "curve": [[point.step, round(point.mean, 5), round(point.kl, 5)] for point in result.curve],
            "seconds": {phase: round(seconds, 2) for phase, seconds in result.seconds.items()},
        }
        add_run(run, folder / f"part{part}.jsonl")


def measure(runs: list[Run]) -> dict[str, Any]:
    """What the settings reach, and how soon they are where sparse ends."""
    chosen = settings(runs)
    curves = {
        name: {run["seed"]: run for run in runs if run["setting"] == name and run["arm"] == arm}
        for name, arm in chosen.items()
    }
    seeds = sorted(set.intersection(*(set(by_seed) for by_seed in curves.values())))
    grids = {name: [kept_curve(by_seed[seed]["curve"]) for seed in seeds] for name, by_seed in curves.items()}
    target = float(np.mean([grid[-1] for grid in grids[SPARSE]]))
    seconds = {
        name: float(np.mean([_training_seconds(by_seed[seed]) / by_seed[seed]["curve"][-1][0] for seed in seeds]))
        for name, by_seed in curves.items()
    }
    held = {
        name: np.array([held_reward([Height(*p) for p in by_seed[s]["curve"]], STEPS, USUAL_BUDGET) for s in seeds])
        for name, by_seed in curves.items()
    }
    ends = {name: np.array([grid[-1] for grid in grid_rows]) for name, grid_rows in grids.items()}
    rows = []
    for name, arm in chosen.items():
        steps = _steps(np.array(grids[name]), np.array(grids[SPARSE]))
        rows.append(
            {
                "setting": name,
                "arm": arm,
                "held": _mean(held[name]),
                "held_gain": _mean(held[name] - held[SPARSE]),
                "reward_at_the_budget": _mean(ends[name]),
                "gain_at_the_budget": _mean(ends[name] - ends[SPARSE]),
                "gain_over_the_papers": _mean(ends[name] - ends[PAPERS_SETTING]),
                "steps_to_sparse": steps,
                "kl_there": kl_after([by_seed["curve"] for by_seed in curves[name].values()], steps[0]),
                "seconds_per_step": seconds[name],
            }
        )
    grid = [{"arm": arm, "held": _tuned(runs, arm)} for arm in sparse_grid()]
    return {"max_kl": USUAL_BUDGET, "seeds": seeds, "steps": STEPS, "target": target, "settings": rows, "grid": grid}


def kept_curve(curve: list[list[float]]) -> list[float]:
    """Rewards after steps 0..`STEPS`, held from where the KL passes the budget."""
    points = held_curve([Height(*point) for point in curve], USUAL_BUDGET)
    return np.interp(np.arange(STEPS + 1), [p.step for p in points], [p.reward for p in points]).tolist()


def kl_after(curves: list[list[list[float]]], share: float) -> float:
    """Mean KL of some trainings after a share of the steps, or at their ends if they had ended."""
    step = min(share, 1.0) * STEPS
    return float(np.mean([np.interp(step, [p[0] for p in curve], [p[2] for p in curve]) for curve in curves]))


def _training_seconds(run: dict[str, Any]) -> float:
    return sum(run["seconds"][phase] for phase in ("sample", "attribute", "update"))


def _mean(values: Array) -> list[float]:
    """Mean and the ends of its 95 % interval by Student's t."""
    mean, half = float(values.mean()), 0.0
    if len(values) > 1:
        half = float(t.ppf(0.975, len(values) - 1) * values.std(ddof=1) / math.sqrt(len(values)))
    return [mean, mean - half, mean + half]


def _steps(ours: Array, sparse: Array) -> list[float]:
    """Share of the steps after which the mean curve is where that of sparse ends; with a bootstrap interval over seeds.

    A curve that never gets there counts as infinite.
    """
    rng = np.random.default_rng(0)
    picks = rng.integers(len(ours), size=(N_RESAMPLES, len(ours)))
    shares = [first_reached(ours[pick].mean(axis=0), sparse[pick].mean(axis=0)[-1]) for pick in picks]
    low, high = np.quantile(shares, [0.025, 0.975], method="nearest")
    return [first_reached(ours.mean(axis=0), sparse.mean(axis=0)[-1]), float(low), float(high)]


def first_reached(curve: Array, target: float) -> float:
    """Share of the steps after which a curve first reaches a target, between two steps along a straight line."""
    reached = np.flatnonzero(curve >= target)
    if not len(reached):
        return math.inf
    step = int(reached[0])
    if step == 0:
        return 0.0
    before = step - 1 + (target - curve[step - 1]) / (curve[step] - curve[step - 1])
    return float(before / (len(curve) - 1))


def table_of(record: dict[str, Any]) -> str:
    """The comparison, as text."""

    def interval(numbers: list[float], places: str = "+.2f") -> str:
        value, low, high = (f"{number:{places}}" if math.isfinite(number) else "never" for number in numbers)
        return f"{value} ({low} to {high})"

    rows = [
        [
            row["setting"],
            interval(row["held"]),
            interval(row["reward_at_the_budget"]),
            "" if row["setting"] == SPARSE else interval(row["gain_at_the_budget"]),
            "" if row["setting"] in (SPARSE, PAPERS_SETTING) else interval(row["gain_over_the_papers"]),
            interval(row["steps_to_sparse"], ".2f"),
            f"{row['kl_there']:.1f}",
            f"{row['seconds_per_step']:.2f}",
        ]
        for row in record["settings"]
    ]
    headers = [
        "setting",
        "reward held",
        "reward at the budget",
        "gain over sparse",
        "over the papers'",
        "steps to sparse's",
        "KL there",
        "s a step",
    ]
    lines = [f"{row['setting']}: {_in_words(row['arm'])}" for row in record["settings"]]
    return (
        f"{len(record['seeds'])} fresh seeds, held-out prompts, {record['steps']} steps, KL budget "
        f"{record['max_kl']:g}; 95 % intervals over seeds, gains paired by seed; steps as a share of all\n"
        + tabulate(rows, headers=headers, disable_numparse=True)
        + "\n\n"
        + "\n".join(lines)
    )


def _in_words(arm: Arm) -> str:
    mixture = ", ".join(f"{name} {arm[f'w_{name}']:.2g}" for name in COMPONENTS if arm[f"w_{name}"] > 0)
    chosen = ("max_units", "gae_lambda", "learning_rate", "kl_coef")
    return f"{mixture}; " + ", ".join(f"{name} {arm[name]:g}" for name in chosen)


def main() -> None:
    """Train what is missing, then compare and store."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--jobs", type=int, default=2, help="trainings at the same time")
    parser.add_argument("--runs", type=Path, default=RUNS, help="where trainings go")
    parser.add_argument("--part", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--grid", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.part is not None:
        train(arguments.runs, arguments.part, arguments.jobs, is_grid=arguments.grid)
        return
    for stage in (["--grid"], []):
        if not run_in_parts(__spec__.name, [*sys.argv[1:], *stage], arguments.jobs):
            sys.exit(1)
    runs = known_runs(arguments.runs)
    # Without the time in its header, equal runs make equal files.
    FILE.write_bytes(gzip.compress(json.dumps(runs).encode(), mtime=0))
    result = measure(runs)
    save(RESULTS, "fresh seeds", {"result": result, "environment": environment(installed(["tabulate"]))})
    print(table_of(result))


if __name__ == "__main__":
    main()
