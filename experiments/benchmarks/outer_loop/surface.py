"""The real surface: trainings of the embedded task on a grid, packed into one file, and its interpolation.

    python -m experiments.benchmarks.outer_loop.surface

packs the raw runs of `train_surface`. s seeds, g mixtures, l values of gae_lambda, t points of the learning curve.
"""

from __future__ import annotations

import argparse
import gzip
import json
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from experiments.benchmarks.outer_loop.train_surface import (
    COMPONENTS,
    LAMBDAS,
    RUNS,
    SEEDS,
    key_of,
    mixtures,
    read_runs,
)

Array = NDArray[np.float64]

FILE = Path(__file__).with_name("surface.json.gz")
DIGITS = 5
FINAL = {"reward": "mean", "sem": "sem", "kl": "kl"}
CURVES = {"reward_curve": 1, "kl_curve": 2}
"""Places in a raw point of a curve, which starts with the step."""


@dataclass(frozen=True)
class Outcomes:
    """What trainings at `n` points bring, by seed."""

    reward: Array
    """`s x n`"""
    kl: Array
    """`s x n`"""


@dataclass(frozen=True)
class Surface:
    """Validation reward and KL of every training."""

    components: tuple[str, ...]
    mixtures: Array
    """`g x k` mixing weights: a lattice on the simplex."""
    lambdas: Array
    """`l` values of gae_lambda."""
    seeds: tuple[int, ...]
    reward: Array
    """`s x g x l` final validation rewards."""
    sem: Array
    """`s x g x l` standard errors over validation prompts."""
    kl: Array
    """`s x g x l` final KL to the reference, nats per response."""
    curve_steps: tuple[int, ...]
    reward_curve: Array
    """`s x g x l x t`"""
    kl_curve: Array
    """`s x g x l x t`"""
    unfinished_reward: Array
    """Like `reward`, of the seeds whose grid is not complete; NaN where there is nothing yet."""

    @classmethod
    @cache
    def load(cls, file: Path = FILE) -> Surface:
        """The packed surface; seeds whose grid is not complete are left out."""
        with gzip.open(file, "rt", encoding="utf-8") as stream:
            data = json.load(stream)
        arrays = {
            name: np.array(data[name], dtype=float) for name in ("reward", "sem", "kl", "reward_curve", "kl_curve")
        }
        whole = [s for s, reward in enumerate(arrays["reward"]) if np.isfinite(reward).all()]
        return cls(
            components=tuple(data["components"]),
            mixtures=np.array(data["mixtures"]),
            lambdas=np.array(data["lambdas"]),
            seeds=tuple(data["seeds"][s] for s in whole),
            curve_steps=tuple(data["curve_steps"]),
            unfinished_reward=np.delete(arrays["reward"], whole, axis=0),
            **{name: array[whole] for name, array in arrays.items()},
        )

    def at(self, X: Array) -> Outcomes:
        """Interpolated at `n x 4` points: linear in every triangle of the lattice of mixtures, and in gae_lambda.

        Exact at the nodes, continuous, and nowhere above the highest node.
        """
        nodes, shares = triangle(X[:, :3] * self.steps)
        columns = np.array([self._nodes.get(tuple(node), 0) for node in nodes.reshape(-1, 3).tolist()]).reshape(-1, 3)
        low = np.clip(np.searchsorted(self.lambdas, X[:, 3], side="right") - 1, 0, len(self.lambdas) - 2)
        share = np.clip((X[:, 3] - self.lambdas[low]) / (self.lambdas[low + 1] - self.lambdas[low]), 0, 1)

        def interpolated(values: Array) -> Array:
            corners = [values[:, columns, level[:, None]] for level in (low, low + 1)]
            lower, upper = ((corner * shares).sum(axis=-1) for corner in corners)
            return np.asarray((1 - share) * lower + share * upper)

        return Outcomes(interpolated(self.reward), interpolated(self.kl))

    @property
    def steps(self) -> int:
        """Lattice steps per weight."""
        return round(1 / self.mixtures[self.mixtures > 0].min())

    @cached_property
    def _nodes(self) -> dict[tuple[int, ...], int]:
        nodes = np.rint(self.mixtures * self.steps).astype(int).tolist()
        return {tuple(node): place for place, node in enumerate(nodes)}


def triangle(U: Array) -> tuple[NDArray[np.int64], Array]:
    """The three nodes (`n x 3 x 3`) around points of the scaled simplex (`n x 3`), and their shares (`n x 3`)."""
    base = np.floor(U[:, :2] + 1e-9).astype(int)
    right, up = (U[:, :2] - base).clip(0, 1).T
    upper = (right + up > 1)[:, None]
    near = np.where(upper, base + 1, base)
    sides = [np.where(upper, base + offset, base + offset[::-1]) for offset in (np.array([0, 1]), np.array([1, 0]))]
    first = np.stack([near, *sides], axis=1)
    shares = np.where(
        upper,
        np.stack([right + up - 1, 1 - right, 1 - up], axis=1),
        np.stack([1 - right - up, right, up], axis=1),
    )
    rest = np.rint(U.sum(axis=1)).astype(int)[:, None, None] - first.sum(axis=2, keepdims=True)
    return np.concatenate([first, rest], axis=2), shares


def pack(runs: Iterable[dict[str, Any]], file: Path = FILE) -> int:
    """Put raw runs into one file; returns how many there were. What has not been trained yet is null."""
    found = {key_of(run): run for run in runs}
    grid = [(seed, mixture, gae_lambda) for seed in SEEDS for mixture in mixtures() for gae_lambda in LAMBDAS]
    rows = [found.get(key_of({"seed": s, "weights": w, "gae_lambda": g})) for s, w, g in grid]
    steps = [point[0] for point in next(row for row in rows if row)["curve"]]
    shape = (len(SEEDS), len(mixtures()), len(LAMBDAS))

    def array(values: list[Any], *tail: int) -> Any:
        missing = np.full(tail, np.nan)
        rounded = np.array([missing if value is None else value for value in values], dtype=float).round(DIGITS)
        return np.where(np.isnan(rounded), None, rounded).reshape(*shape, *tail).tolist()

    data = {
        "components": COMPONENTS,
        "mixtures": [[mixture[name] for name in COMPONENTS] for mixture in mixtures()],
        "lambdas": LAMBDAS,
        "seeds": SEEDS,
        "curve_steps": steps,
        **{name: array([row and row[key] for row in rows]) for name, key in FINAL.items()},
        **{
            name: array([row and [point[place] for point in row["curve"]] for row in rows], len(steps))
            for name, place in CURVES.items()
        },
    }
    # Without the time in its header, equal runs make equal files.
    file.write_bytes(gzip.compress(json.dumps(data).encode(), mtime=0))
    return sum(row is not None for row in rows)


def main() -> None:
    """Pack what has been trained."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=Path, default=RUNS, help="where the raw runs are")
    count = pack(read_runs(parser.parse_args().runs))
    surface = Surface.load()
    print(f"{count} trainings in {FILE} ({FILE.stat().st_size / 1000:.0f} kB); seeds {surface.seeds} are complete")


if __name__ == "__main__":
    main()
