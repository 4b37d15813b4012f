"""Errors of attributions, and how sure of a median error one can be."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.stats import rankdata

N_RESAMPLES = 2000
"""Bootstrap resamples; the ends of a 95 % interval then rest on some 50 of them each."""


@dataclass(frozen=True)
class Interval:
    """A statistic with its 95 % bootstrap interval."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.value:.3f} [{self.low:.3f}, {self.high:.3f}]"


def relative_error(estimate: np.ndarray, truth: np.ndarray) -> float:
    """||estimate - truth|| / ||truth||, Euclidean."""
    return float(np.linalg.norm(estimate - truth) / np.linalg.norm(truth))


def spearman(estimate: np.ndarray, truth: np.ndarray) -> float:
    """Rank correlation; ties share their mean rank, and a constant estimate correlates with nothing: 0."""
    left, right = rankdata(estimate), rankdata(truth)
    left, right = left - left.mean(), right - right.mean()
    scale = np.linalg.norm(left) * np.linalg.norm(right)
    return float(left @ right / scale) if scale else 0.0


def bootstrap(
    samples: np.ndarray, statistic: Callable[[np.ndarray], np.ndarray] = np.median, *, seed: int = 0
) -> Interval:
    """A statistic of `g x s` samples, resampled by group: the s runs of one text are not independent evidence.

    Args:
        samples: One row per text, one column per run.
        statistic: Takes an array and `axis`, as `np.median` does.
        seed: Of the resampling.
    """
    rng = np.random.default_rng(seed)
    picks = rng.integers(len(samples), size=(N_RESAMPLES, len(samples)))
    resampled = statistic(samples[picks].reshape(N_RESAMPLES, -1), axis=1)  # type: ignore[call-arg]
    low, high = np.quantile(resampled, [0.025, 0.975])
    return Interval(float(statistic(samples.reshape(1, -1), axis=1)[0]), float(low), float(high))  # type: ignore[call-arg]


def bootstrap_median_difference(ours: np.ndarray, theirs: np.ndarray, *, seed: int = 0) -> Interval:
    """Median of `ours` minus median of `theirs` (`g x s` and `g x t`), the same texts resampled in both."""
    rng = np.random.default_rng(seed)
    picks = rng.integers(len(ours), size=(N_RESAMPLES, len(ours)))
    differences = np.median(ours[picks].reshape(N_RESAMPLES, -1), axis=1) - np.median(
        theirs[picks].reshape(N_RESAMPLES, -1), axis=1
    )
    low, high = np.quantile(differences, [0.025, 0.975])
    return Interval(float(np.median(ours) - np.median(theirs)), float(low), float(high))
