"""Smooth random truths on the simplex, of families that are not all the Gaussian process's own.

bowl      quadratic, optimum inside, axes of unequal steepness
corner    falls away from one vertex, linearly or faster: one component alone is best
fourier   random Fourier features, wavy: several local optima
returns   diminishing returns of every weight (sums of logarithms): steep at the faces, flat inside
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Raw = Callable[[Array], Array]

N_UNIFORM = 4096
"""Uniform points that mean and standard deviation of a truth are taken over."""
N_FEATURES = 64
N_STARTS = 20


@dataclass(frozen=True)
class Truth:
    """A function on the simplex with mean 0 and variance 1 under uniform weights."""

    family: str
    n_components: int
    optimum: Array
    best: float
    _raw: Raw
    _mean: float
    _sd: float

    def __call__(self, X: Array) -> Array:
        """`n` values at `n x k` weights."""
        return (self._raw(X) - self._mean) / self._sd


def make_truth(k: int, index: int) -> Truth:
    """Truth number `index` with `k` weights; the families take turns."""
    rng = np.random.default_rng([k, index])
    family = list(FAMILIES)[index % len(FAMILIES)]
    raw = FAMILIES[family](k, rng)
    uniform = rng.dirichlet(np.ones(k), N_UNIFORM)
    values = raw(uniform)
    mean, sd = float(values.mean()), float(values.std())
    optimum = maximise(raw, k, uniform)
    return Truth(family, k, optimum, float((raw(optimum[None])[0] - mean) / sd), raw, mean, sd)


def maximise(raw: Raw, k: int, uniform: Array) -> Array:
    """Where a function on the simplex is highest: pattern search, by moving weight between pairs, from many starts."""
    starts = np.vstack([np.eye(k), uniform])
    points = starts[np.argsort(raw(starts))[::-1][:N_STARTS]]
    moves = np.array([np.eye(k)[i] - np.eye(k)[j] for i in range(k) for j in range(k) if i != j])
    step = 0.1
    while step > 1e-5:
        around = points[:, None] + step * moves
        # A move that would leave the simplex goes as far as its face.
        short = np.minimum(around.min(axis=2, keepdims=True), 0.0)
        around = around + short * moves
        values = raw(around.reshape(-1, k)).reshape(len(points), -1)
        better = values.max(axis=1) > raw(points) + 1e-12
        points[better] = around[better, values[better].argmax(axis=1)]
        if not better.any():
            step /= 2
    return points[raw(points).argmax()]


def bowl(k: int, rng: np.random.Generator) -> Raw:
    """Quadratic, with its optimum inside."""
    centre = rng.dirichlet(np.full(k, 2.0))
    axes, _ = np.linalg.qr(rng.normal(size=(k, k)))
    steepness = np.exp(rng.uniform(0, np.log(10), size=k))

    def value(X: Array) -> Array:
        return -(((X - centre) @ axes) ** 2) @ steepness

    return value


def corner(k: int, rng: np.random.Generator) -> Raw:
    """Best at one vertex."""
    vertex, power = rng.integers(k), rng.uniform(1, 2)
    loss = np.exp(rng.uniform(np.log(0.5), np.log(2), size=k))
    loss[vertex] = 0.0

    def value(X: Array) -> Array:
        return -(X**power) @ loss

    return value


def fourier(k: int, rng: np.random.Generator) -> Raw:
    """Random Fourier features with one length scale."""
    frequencies = rng.normal(size=(N_FEATURES, k)) / rng.uniform(0.3, 0.7)
    phases = rng.uniform(0, 2 * np.pi, size=N_FEATURES)
    amplitudes = rng.normal(size=N_FEATURES)

    def value(X: Array) -> Array:
        return np.cos(X @ frequencies.T + phases) @ amplitudes

    return value


def returns(k: int, rng: np.random.Generator) -> Raw:
    """Every weight has its use, the first of it the most."""
    use = rng.dirichlet(np.ones(k))

    def value(X: Array) -> Array:
        return np.log(X + 0.05) @ use

    return value


FAMILIES: dict[str, Callable[[int, np.random.Generator], Raw]] = {
    "bowl": bowl,
    "corner": corner,
    "fourier": fourier,
    "returns": returns,
}
