"""How sure of a measured number one can be."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

N_RESAMPLES = 2000
"""Bootstrap resamples; the ends of a 95 % interval then rest on some 50 of them each."""


@dataclass(frozen=True)
class Interval:
    """A statistic with its 95 % bootstrap interval."""

    value: float
    low: float
    high: float

    def to_list(self) -> list[float]:
        """Plain data: value, low, high."""
        return [self.value, self.low, self.high]

    def __str__(self) -> str:
        return f"{self.value:.3f} [{self.low:.3f}, {self.high:.3f}]"


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
