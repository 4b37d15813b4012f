"""Problems with a known truth: what a study observes, and what its recommendation is worth.

A point `x` has the mixing weights first, in the order of `components`, then the training parameters.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from experiments.benchmarks.outer_loop.surface import Surface
from experiments.benchmarks.outer_loop.train_wide_surface import BOX
from experiments.benchmarks.outer_loop.train_wide_surface import COMPONENTS as WIDE_COMPONENTS
from experiments.benchmarks.outer_loop.truths import Truth, make_truth
from experiments.benchmarks.outer_loop.wide_surface import USUAL_BUDGET, Emulator, WideSurface, coordinates, noise_of

Array = NDArray[np.float64]

COMPONENTS = {3: ("shap", "lime", "sparse"), 5: ("shap", "lime", "sparse", "attention", "uniform")}
"""Names of the components by their number; which ones they are makes no difference here."""
WIDE_PARAMETERS = ("max_units", "gae_lambda", "learning_rate", "kl_coef")
"""Parameters of the wide surface that were found to matter."""
NOISE_SD = 0.5
"""Noise of one observation, in standard deviations of the truth over the simplex."""
SHARED = 0.5
"""Share of the noise variance that runs of one seed have in common."""


class Space(Protocol):
    """Where to look."""

    components: tuple[str, ...]
    parameters: dict[str, tuple[float, float]]
    """Bounds of the training parameters."""


class Problem(Space, Protocol):
    """What a study is run on."""

    optimum: Array
    """Where the truth is highest."""

    def regret(self, x: Array) -> float:
        """How far the truth at `x` is below its maximum; 1 is what a point drawn uniformly loses on average."""

    def observe(self, x: Array, trial: int, seed: int | None) -> tuple[float, float]:
        """Noisy reward and KL of trial `trial`; with a `seed`, part of the noise is shared by all trials of that seed.

        Without one every trial has noise of its own. The noise is a function of problem, trial and seed, so that all
        methods meet the same.
        """


@dataclass(frozen=True)
class SyntheticProblem:
    """A smooth random truth on the simplex with normal noise."""

    truth: Truth
    index: int

    @property
    def components(self) -> tuple[str, ...]:
        """Names of the weights."""
        return COMPONENTS[self.truth.n_components]

    @property
    def parameters(self) -> dict[str, tuple[float, float]]:
        """None."""
        return {}

    @property
    def optimum(self) -> Array:
        """The best weights."""
        return self.truth.optimum

    def regret(self, x: Array) -> float:
        """See `Problem`; the truth has mean 0 over the simplex."""
        return max(float(self.truth.best - self.truth(x[None])[0]), 0.0) / self.truth.best

    def observe(self, x: Array, trial: int, seed: int | None) -> tuple[float, float]:
        """See `Problem`. The KL grows with the first weight: it is modelled, as in a study, but decides nothing."""
        own, kl = np.random.default_rng([self.index, trial]).normal(size=2)
        noise = own
        if seed is not None:
            shared = np.random.default_rng([self.index, 10_000, seed]).normal()
            noise = np.sqrt(SHARED) * shared + np.sqrt(1 - SHARED) * own
        return float(self.truth(x[None])[0] + NOISE_SD * noise), float(4 + 2 * x[0] + 0.3 * kl)


@dataclass(frozen=True)
class TabulatedProblem:
    """The embedded task: real trainings on a grid, interpolated. What one training differs from another in is real.

    The truth is the mean over the seeds of the table; a training of seed s observes the surface of seed s, and without
    common seeds the seed is drawn anew for every trial.
    """

    surface: Surface
    index: int

    @property
    def components(self) -> tuple[str, ...]:
        """Names of the weights."""
        return self.surface.components

    @property
    def parameters(self) -> dict[str, tuple[float, float]]:
        """`gae_lambda`, as far as the grid goes."""
        return {"gae_lambda": (float(self.surface.lambdas[0]), float(self.surface.lambdas[-1]))}

    @property
    def optimum(self) -> Array:
        """The best node of the grid, which is where an interpolation is highest."""
        mean = self.surface.reward.mean(axis=0)
        node, level = np.unravel_index(mean.argmax(), mean.shape)
        return np.r_[self.surface.mixtures[node], self.surface.lambdas[level]]

    def regret(self, x: Array) -> float:
        """See `Problem`."""
        mean = self.surface.reward.mean(axis=0)
        return float((mean.max() - self.surface.at(x[None]).reward.mean()) / (mean.max() - mean.mean()))

    def observe(self, x: Array, trial: int, seed: int | None) -> tuple[float, float]:
        """See `Problem`."""
        n_seeds = len(self.surface.reward)
        drawn = int(np.random.default_rng([self.index, trial]).integers(n_seeds)) if seed is None else seed % n_seeds
        here = self.surface.at(x[None])
        return float(here.reward[drawn, 0]), float(here.kl[drawn, 0])


@dataclass(frozen=True)
class EmulatedProblem:
    """The embedded task over a wide space: the emulator of real trainings, with noise as large as theirs.

    Five components or some of them, and the parameters that were found to matter; the others are as usual.
    """

    index: int
    components: tuple[str, ...] = WIDE_COMPONENTS
    """Names of the weights."""

    @property
    def parameters(self) -> dict[str, tuple[float, float]]:
        """Those that matter; all methods search them on a linear scale."""
        return {name: BOX[name][:2] for name in WIDE_PARAMETERS}

    @property
    def optimum(self) -> Array:
        """The best of many points, refined around the best ones."""
        return _wide_truth(self.components)[2]

    def regret(self, x: Array) -> float:
        """See `Problem`."""
        best, mean, _ = _wide_truth(self.components)
        return float(max(best - self._worth(x[None])[0], 0.0) / (best - mean))

    def observe(self, x: Array, trial: int, seed: int | None) -> tuple[float, float]:
        """See `Problem`. How much trainings of one seed share is not known well enough here: nothing."""
        noise, kl = np.random.default_rng([self.index, trial]).normal(size=2)
        return float(self._worth(x[None])[0] + wide_emulator()[1] * noise), float(5 + 0.3 * kl)

    @property
    def scale(self) -> float:
        """What a point drawn evenly loses, in units of the reward."""
        best, mean, _ = _wide_truth(self.components)
        return best - mean

    def _worth(self, X: Array) -> Array:
        return wide_emulator()[0](wide_coordinates(X, self.components))


def wide_coordinates(X: Array, components: Sequence[str]) -> Array:
    """`n x d` coordinates of the emulator, of `n` points in the units of the parameters."""
    usual = {"sharpness": 1.0, "to_sparse": 0.0, "critic_lambda": 0.95} | {f"w_{name}": 0.0 for name in WIDE_COMPONENTS}
    names = [*(f"w_{name}" for name in components), *WIDE_PARAMETERS]
    return np.array([coordinates(usual | dict(zip(names, x, strict=True))) for x in X.tolist()])


@cache
def wide_emulator() -> tuple[Emulator, float]:
    """The emulator of all trainings, and the noise of one."""
    surface = WideSurface.load()
    return Emulator.of(surface, USUAL_BUDGET), noise_of(surface.held(USUAL_BUDGET))


@cache
def _wide_truth(components: tuple[str, ...]) -> tuple[float, float, Array]:
    """The highest worth, the mean worth of points drawn evenly, and where the highest is."""
    rng, k = np.random.default_rng(0), len(components)
    low, high = np.array([BOX[name][:2] for name in WIDE_PARAMETERS]).T

    def worth(X: Array) -> Array:
        return wide_emulator()[0](wide_coordinates(X, components))

    X = np.hstack([rng.dirichlet(np.ones(k), 2**13), low + rng.random((2**13, len(low))) * (high - low)])
    mean = float(worth(X).mean())
    X = np.vstack([X, np.hstack([rng.dirichlet(np.full(k, 0.3), 2**13), X[:, k:]])])
    for spread in (0.3, 0.1, 0.03, 0.01):
        best = X[worth(X).argsort()[-8:]]
        near = np.repeat(best, 256, axis=0)
        weights = np.maximum(near[:, :k] + spread * rng.normal(size=(len(near), k)), 0.0) + 1e-12
        box = np.clip(near[:, k:] + spread * (high - low) * rng.normal(size=(len(near), len(low))), low, high)
        X = np.vstack([best, np.hstack([weights / weights.sum(axis=1, keepdims=True), box])])
    values = worth(X)
    return float(values.max()), mean, X[values.argmax()]


def make_problem(kind: str, index: int) -> Problem:
    """Problem number `index` of the kind `k=3`, `k=5`, `table` or `wide`."""
    if kind == "wide":
        return EmulatedProblem(index)
    if kind == "table":
        return TabulatedProblem(Surface.load(), index)
    return SyntheticProblem(make_truth(int(kind.removeprefix("k=")), index), index)


def as_point(space: Space, weights: Sequence[float], parameters: Sequence[float] = ()) -> Array:
    """A point with its weights clipped at 0 and normalised."""
    clipped = np.maximum(np.asarray(weights, dtype=float), 0.0)
    assert len(clipped) == len(space.components)  # noqa: S101  the methods know their problem
    return np.r_[clipped / clipped.sum(), np.asarray(parameters, dtype=float)]
