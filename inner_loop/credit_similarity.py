"""How alike components pay: two that pay alike cannot be told apart by any training, and are one direction to search.

Measured on explained responses. Within a response, credit is added up over the units that the coarser of the two
components pays, and correlated over those units; the last token, where the base value and the rest go, is left out.
"""

from collections.abc import Mapping, Sequence
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from inner_loop.spec import ExplainedResponse, TrialResult
from inner_loop.spec.credit_similarity import CreditSimilarity

Array = NDArray[np.float64]

N_TRIALS = 8
"""Trials whose explained responses are looked at."""

MIN_UNITS = 3
"""Units of a response below which a correlation over them says nothing."""


def similarity_of_results(
    components: Sequence[str], results: Mapping[int, Sequence[TrialResult]]
) -> CreditSimilarity | None:
    """`credit_similarity` on the samples of the first `N_TRIALS` trials (index -> results), each of its first seed."""
    first = [results[index][0] for index in sorted(results)[:N_TRIALS]]
    return credit_similarity(components, [sample for result in first for sample in result.samples])


def credit_similarity(components: Sequence[str], responses: Sequence[ExplainedResponse]) -> CreditSimilarity | None:
    """How alike `k` components pay, on average over responses; None if no response explains all of them."""
    explained = [
        np.array([response.components[name] for name in components])
        for response in responses
        if set(components) <= set(response.components) and response.tokens
    ]
    if not explained:
        return None
    k = len(components)
    correlation: list[list[float | None]] = [[1.0 if i == j else None for j in range(k)] for i in range(k)]
    for i, j in combinations(range(k), 2):
        values = [value for credit in explained if (value := _correlation(credit[i], credit[j])) is not None]
        if values:
            correlation[i][j] = correlation[j][i] = float(np.mean(values))
    shares = np.array([[_effective_share(row) for row in credit] for credit in explained])
    return CreditSimilarity(list(components), correlation, shares.mean(axis=0).tolist(), len(explained))


def _correlation(first: Array, second: Array) -> float | None:
    """Pearson's, over the units of whichever pays fewer tokens; None with too few units, or none that differ."""
    first, second = first[:-1], second[:-1]
    ends = min((np.flatnonzero(credit) for credit in (first, second)), key=len)
    if len(ends) < MIN_UNITS:
        return None
    starts = np.concatenate([[0], ends[:-1] + 1])
    rows = np.array([np.add.reduceat(credit[: ends[-1] + 1], starts) for credit in (first, second)])
    if (np.ptp(rows, axis=1) <= 1e-9 * np.abs(rows).max(axis=1)).any():
        return None
    return float(np.corrcoef(rows)[0, 1])


def _effective_share(credit: Array) -> float:
    sizes = np.abs(credit)
    total = sizes.sum()
    return float(total**2 / (len(sizes) * (sizes**2).sum())) if total > 0 else 0.0
