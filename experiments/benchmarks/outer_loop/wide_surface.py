"""The wide surface: trainings of `train_wide_surface` in one file, an emulator of them, and what they say.

    python -m experiments.benchmarks.outer_loop.wide_surface

packs the raw runs beside those that are packed already, fits the emulator and stores the description. s seeds, n arms,
d coordinates.
"""

from __future__ import annotations

import argparse
import gzip
import json
import math
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.exceptions import ConvergenceWarning
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import ConstantKernel, Matern, WhiteKernel
from tabulate import tabulate

from bo_shaping.surrogate.held_reward import Height, held_reward
from experiments.benchmarks.outer_loop.runs import Run, read_runs
from experiments.benchmarks.outer_loop.train_wide_surface import (
    BOX,
    COMPONENTS,
    PACKED,
    RUNS,
    SEEDS,
    STEPS,
    Arm,
    arms,
    packed_runs,
    read_packed,
)
from experiments.benchmarks.results_file import environment, installed, save

Array = NDArray[np.float64]

RESULTS = Path(__file__).parents[1] / "results" / "wide_surface.json"
BUDGETS = (3.0, 4.0, 6.0, 8.0)
"""KL budgets at which the reward that is held is looked at."""
USUAL_BUDGET = 6.0
N_FOLDS = 10
N_SOBOL = 4096
"""Points of which each shares a coordinate with another one, for the importance."""
MIXTURE = "mixture"


@dataclass(frozen=True)
class WideSurface:
    """Learning curves of `n` arms under up to `s` seeds."""

    arms: list[Arm]
    curves: dict[tuple[int, int], list[Height]]
    """By arm and seed."""

    @classmethod
    @cache
    def load(cls, file: Path = PACKED) -> WideSurface:
        """The packed trainings."""
        data = read_packed(file)
        curves = {(run["arm"], run["seed"]): [Height(*point) for point in run["curve"]] for run in data["runs"]}
        return cls(data["arms"], curves)

    def held(self, max_kl: float) -> Array:
        """`s x n` rewards that are held within a KL budget; NaN where there was no training."""
        values = np.full((len(SEEDS), len(self.arms)), np.nan)
        for (arm, seed), curve in self.curves.items():
            values[SEEDS.index(seed), arm] = held_reward(curve, STEPS, max_kl)
        return values

    @cached_property
    def X(self) -> Array:  # noqa: N802
        """`n x d` arms: weights as they are, parameters on 0..1 of their range."""
        return np.array([coordinates(arm) for arm in self.arms])


def coordinates(arm: Arm) -> list[float]:
    """`d` numbers: the weights, then the place of each parameter in its range."""
    places = [
        math.log(arm[name] / low) / math.log(high / low) if log else (arm[name] - low) / (high - low)
        for name, (low, high, log) in BOX.items()
    ]
    return [*(arm[f"w_{name}"] for name in COMPONENTS), *places]


@dataclass(frozen=True)
class Emulator:
    """A Gaussian process through the means over seeds: what an arm is worth, without the luck of a training."""

    process: GaussianProcessRegressor
    centre: float

    @classmethod
    def fit(cls, X: Array, y: Array, n_seeds: Array, noise_sd: float) -> Emulator:
        """Fit to `n` means over `n_seeds` trainings each, whose noise is known."""
        kernel = ConstantKernel(0.1, (1e-3, 10.0)) * Matern(np.full(X.shape[1], 1.0), (0.1, 30.0), nu=2.5)
        kernel = kernel + WhiteKernel(1e-3, (1e-5, 0.1))
        process = GaussianProcessRegressor(kernel, alpha=noise_sd**2 / n_seeds, n_restarts_optimizer=1, random_state=0)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # a length at the end of its range says "flat"
            process.fit(X, y - y.mean())
        return cls(process, float(y.mean()))

    @classmethod
    def of(cls, surface: WideSurface, max_kl: float) -> Emulator:
        """Fit to all trainings of a surface, of the reward that is held within a KL budget."""
        values = surface.held(max_kl)
        return cls.fit(surface.X, np.nanmean(values, axis=0), np.isfinite(values).sum(axis=0), noise_of(values))

    def __call__(self, X: Array) -> Array:
        """`m` expected rewards at `m x d` points."""
        return np.asarray(self.process.predict(X)) + self.centre


def noise_of(values: Array) -> float:
    """Standard deviation between trainings of one arm, pooled over arms, from `s x n` values with NaN."""
    counts = np.isfinite(values).sum(axis=0)
    several = values[:, counts > 1]
    deviations = several - np.nanmean(several, axis=0)
    return float(np.sqrt(np.nansum(deviations**2) / (counts[counts > 1] - 1).sum()))


def importance(emulator: Emulator, seed: int = 0) -> dict[str, dict[str, float]]:
    """Sobol indices by the emulator, of the mixture as a whole and of each parameter, for arms drawn evenly.

    First-order and total indices from pairs of points that share one coordinate, or all but one (Saltelli et al. 2010,
    table 2).
    """
    rng = np.random.default_rng(seed)
    one, other = (
        np.hstack([rng.dirichlet(np.ones(len(COMPONENTS)), N_SOBOL), rng.random((N_SOBOL, len(BOX)))]) for _ in range(2)
    )
    at_one, at_other = emulator(one), emulator(other)
    variance = np.concatenate([at_one, at_other]).var()
    k = len(COMPONENTS)
    columns = {MIXTURE: list(range(k))} | {name: [k + i] for i, name in enumerate(BOX)}
    found = {}
    for name, chosen in columns.items():
        mixed = one.copy()
        mixed[:, chosen] = other[:, chosen]
        at_mixed = emulator(mixed)
        first = float((at_other * (at_mixed - at_one)).mean() / variance)
        total = float(((at_one - at_mixed) ** 2).mean() / 2 / variance)
        found[name] = {"first": first, "total": total}
    return found


def describe(surface: WideSurface) -> dict[str, Any]:
    """Noise, signal, what each component does alone, the emulator's error, and what matters."""
    record: dict[str, Any] = {"trainings": len(surface.curves), "arms": len(surface.arms), "budgets": []}
    for budget in BUDGETS:
        values = surface.held(budget)
        noise, counts = noise_of(values), np.isfinite(values).sum(axis=0)
        signal = math.sqrt(max(np.nanmean(values, axis=0).var() - (noise**2 / counts).mean(), 0.0))
        record["budgets"].append({"max_kl": budget, "signal": signal, "noise": noise, "ratio": signal / noise})
    values = surface.held(USUAL_BUDGET)
    means, counts, noise = np.nanmean(values, axis=0), np.isfinite(values).sum(axis=0), noise_of(values)
    weights = surface.X[:, : len(COMPONENTS)]
    record["alone"] = [_alone(name, means[weights[:, i] == 1.0]) for i, name in enumerate(COMPONENTS)]
    order = np.random.default_rng(0).permutation(len(means))
    predicted, by_fold = np.empty(len(means)), []
    for fold in np.array_split(order, N_FOLDS):
        kept = np.setdiff1d(order, fold)
        emulator = Emulator.fit(surface.X[kept], means[kept], counts[kept], noise)
        predicted[fold] = emulator(surface.X[fold])
        by_fold.append(importance(emulator))
    squared, of_seeds = float(((predicted - means) ** 2).mean()), float((noise**2 / counts).mean())
    record["emulator"] = {
        "max_kl": USUAL_BUDGET,
        "held_out_rmse": math.sqrt(squared),
        "noise_of_the_means": math.sqrt(of_seeds),
        "error_without_that_noise": math.sqrt(max(squared - of_seeds, 0.0)),
        "explained_of_the_signal": 1 - max(squared - of_seeds, 0.0) / (means.var() - of_seeds),
    }
    whole = importance(Emulator.of(surface, USUAL_BUDGET))
    record["importance"] = [
        {
            "name": name,
            **{
                f"{kind}{suffix}": value
                for kind in ("first", "total")
                for suffix, value in (
                    ("", whole[name][kind]),
                    ("_low", min(fold[name][kind] for fold in by_fold)),
                    ("_high", max(fold[name][kind] for fold in by_fold)),
                )
            },
        }
        for name in (MIXTURE, *BOX)
    ]
    return record


def _alone(name: str, means: Sequence[float] | Array) -> dict[str, Any]:
    values = np.asarray(means)
    sem = values.std(ddof=1) / math.sqrt(len(values))
    return {"name": name, "arms": len(values), "mean": float(values.mean()), "sem": float(sem)}


def table_of(record: dict[str, Any]) -> str:
    """The description, as text."""
    emulator = record["emulator"]
    budgets = [
        [row["max_kl"], *(f"{row[key]:.3f}" for key in ("signal", "noise", "ratio"))] for row in record["budgets"]
    ]
    alone = [[row["name"], row["arms"], f"{row['mean']:+.2f} ± {row['sem']:.2f}"] for row in record["alone"]]
    matters = [
        [row["name"], *(f"{row[k]:.2f} ({row[f'{k}_low']:.2f} to {row[f'{k}_high']:.2f})" for k in ("first", "total"))]
        for row in sorted(record["importance"], key=lambda row: -row["total"])
    ]
    return "\n\n".join([
        f"{record['trainings']} trainings of {record['arms']} arms; reward held within a KL budget\n"
        + tabulate(budgets, headers=["KL budget", "signal (sd of arms)", "noise (sd of seeds)", "ratio"]),
        f"one component alone, parameters anywhere, KL {emulator['max_kl']:g} (mean over arms ± standard error)\n"
        + tabulate(alone, headers=["component", "arms", "reward held"]),
        f"emulator, arms held out: error {emulator['held_out_rmse']:.3f}, of which the noise of the means is "
        f"{emulator['noise_of_the_means']:.3f}; it explains {emulator['explained_of_the_signal']:.0%} of the signal",
        "importance by the emulator (range over ten fits without a tenth of the arms)\n"
        + tabulate(matters, headers=["of", "alone (first-order Sobol)", "with interactions (total)"]),
    ])  # fmt: skip


def pack(runs: Sequence[Run], file: Path = PACKED) -> None:
    """Add raw runs to the file, each arm and seed once; equal runs make equal files."""
    found = {(run["arm"], run["seed"]): run for run in [*packed_runs(file), *runs] if "curve" in run}
    data = {"arms": arms(), "seeds": SEEDS, "runs": [found[key] for key in sorted(found)]}
    file.write_bytes(gzip.compress(json.dumps(data).encode(), mtime=0))


def main() -> None:
    """Pack what has been trained, describe it, store the description."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=Path, default=RUNS, help="where the raw runs are")
    if runs := read_runs(parser.parse_args().runs):
        pack(runs)
    result = describe(WideSurface.load())
    save(RESULTS, "wide surface", {"result": result, "environment": environment(installed(["tabulate"]))})
    print(table_of(result))


if __name__ == "__main__":
    main()
