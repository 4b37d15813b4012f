"""Does credit say which tokens mattered? Correlation, sign and largest token in a response, against a sampled truth.

The sampled advantage is the truth with noise, which makes every correlation smaller. Its split-half reliability is how
well two estimates from half of the continuations each agree; lengthened to the whole by Spearman and Brown's formula
2 r / (1 + r), its root is the correlation that the truth would have, and a correlation divided by it is corrected
for the noise. Corrected numbers are estimates and may pass 1.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from experiments.benchmarks.credit_truth.sampled import Key, Sample, keys
from experiments.benchmarks.intervals import N_RESAMPLES

MIN_POINTS = 3
"""Tokens or units below which a correlation says nothing."""
SURE = 2.0
"""Standard errors that an advantage must be away from zero for its sign to count."""


def advantages(sample: Sample) -> np.ndarray:
    """`T` sampled advantages, from all continuations."""
    return np.diff(sample.scores.mean(axis=1))


def standard_errors(sample: Sample) -> np.ndarray:
    """`T` of the advantages: continuations of neighbouring prefixes share their numbers, so their differences count."""
    differences = np.diff(sample.scores, axis=0)
    errors: np.ndarray = differences.std(axis=1, ddof=1) / np.sqrt(sample.scores.shape[1])
    return errors


def half_correlation(sample: Sample, ends: Sequence[int] | None = None) -> float:
    """Of the advantages from the first and from the second half of the continuations."""
    first, second = np.split(sample.scores, 2, axis=1)
    return correlation(*(per_unit(np.diff(half.mean(axis=1)), ends) for half in (first, second)))


def per_unit(values: np.ndarray, ends: Sequence[int] | None) -> np.ndarray:
    """`T` values added up over units that end at the tokens `ends`; as they are without ends."""
    if ends is None:
        return values
    starts = [0, *(end + 1 for end in sorted(set(ends)))]
    return np.add.reduceat(values, [start for start in starts if start < len(values)])


def correlation(first: np.ndarray, second: np.ndarray) -> float:
    """Pearson's; not a number with too few points or values that do not differ."""
    if len(first) < MIN_POINTS or min(np.ptp(first), np.ptp(second)) < 1e-9:
        return float("nan")
    return float(np.corrcoef(first, second)[0, 1])


def sign_agreement(sample: Sample, key: Key) -> float:
    """Share of the tokens whose advantage is surely not zero that credit gives the right sign."""
    truth = advantages(sample)
    is_sure = np.abs(truth) > SURE * standard_errors(sample)
    return float((np.sign(sample.earned(key)) == np.sign(truth))[is_sure].mean()) if is_sure.any() else float("nan")


def finds_largest(sample: Sample, key: Key) -> float:
    """1 if the token with the most credit, of either sign, is the one with the largest advantage."""
    sizes = np.abs(sample.earned(key))
    largest = np.flatnonzero(sizes > sizes.max() * (1 - 1e-9))
    return float(np.abs(advantages(sample)).argmax() in largest) / len(largest)


def describe(samples: Sequence[Sample]) -> dict[str, Any]:
    """Plain data: how sure the truth is, and a row per component."""
    by_token = np.array([half_correlation(sample) for sample in samples])
    errors, truths = (np.concatenate([f(sample) for sample in samples]) for f in (standard_errors, advantages))
    return {
        "responses": len(samples),
        "tokens": len(truths),
        "continuations": samples[0].scores.shape[1],
        "explained_continuations": next(iter(samples[0].credit.values())).shape[1],
        "advantage_rms": float(np.sqrt((truths**2).mean())),
        "standard_error_rms": float(np.sqrt((errors**2).mean())),
        "sure_tokens": float((np.abs(truths) > SURE * errors).mean()),
        "half_correlation": _with_interval(by_token),
        "reliability": float(reliability(by_token)),
        "chance_to_find_the_largest": float(np.mean([1 / sample.n_tokens for sample in samples])),
        "components": [_row(samples, key, by_token) for key in keys()],
    }


def reliability(half_correlations: np.ndarray) -> np.ndarray:
    """Spearman and Brown's, of the mean over the last axis of correlations of halves; not a number unless above 0."""
    mean = np.nanmean(half_correlations, axis=-1)
    return np.where(mean > 0, 2 * mean / (1 + mean), np.nan)


def _row(samples: Sequence[Sample], key: Key, by_token: np.ndarray) -> dict[str, Any]:
    ends = [sample.unit_tokens[key[1] or "tokens"] for sample in samples]
    at_tokens = np.array([correlation(sample.earned(key), advantages(sample)) for sample in samples])
    at_units = np.array(
        [
            correlation(per_unit(sample.earned(key), end), per_unit(advantages(sample), end))
            for sample, end in zip(samples, ends, strict=True)
        ]
    )
    halves = np.array([half_correlation(sample, end) for sample, end in zip(samples, ends, strict=True)])
    return {
        "component": key[0],
        "units": key[1],
        "correlation": _with_interval(at_tokens),
        "corrected": corrected(at_tokens, by_token),
        "per_unit": _with_interval(at_units),
        "per_unit_corrected": corrected(at_units, halves),
        "sign": _with_interval(np.array([sign_agreement(sample, key) for sample in samples])),
        "largest": _with_interval(np.array([finds_largest(sample, key) for sample in samples])),
    }


def corrected(correlations: np.ndarray, half_correlations: np.ndarray) -> list[float]:
    """The mean of `n` correlations divided by the root of the reliability, responses resampled in both."""

    def statistic(rows: np.ndarray) -> np.ndarray:
        return np.asarray(np.nanmean(rows[..., 0], axis=-1) / np.sqrt(reliability(rows[..., 1])))

    return bootstrap_rows(np.stack([correlations, half_correlations], axis=1), statistic)


def bootstrap_rows(rows: np.ndarray, statistic: Callable[[np.ndarray], np.ndarray], *, seed: int = 0) -> list[float]:
    """A statistic of `n x k` rows, one per response, and the ends of its 95 % bootstrap interval.

    Not numbers where the first column has none.

    Args:
        rows: What is resampled.
        statistic: Of `... x n x k`, over the last two axes.
        seed: Of the resampling.
    """
    if not np.isfinite(rows[:, 0]).any():
        return [float("nan")] * 3
    rng = np.random.default_rng(seed)
    picks = rng.integers(len(rows), size=(N_RESAMPLES, len(rows)))
    low, high = np.nanquantile(statistic(rows[picks]), [0.025, 0.975])
    return [float(statistic(rows)), float(low), float(high)]


def _with_interval(values: np.ndarray) -> list[float]:
    return bootstrap_rows(values[:, None], lambda rows: np.asarray(np.nanmean(rows[..., 0], axis=-1)))
