"""Prefix credit: what the score changes by when a unit is added to those before it.

The credit of unit i is v(units up to i) - v(units before i). It depends on nothing that comes later, so it is the one
credit here under which reward-to-go is an unbiased gradient: it is potential-based shaping [Ng1999]_ with the score of
the response so far as the potential. It takes n + 1 evaluations of n units, or a single one where the reward model is
causal and reads nothing behind the response (`inner_loop.models.beginnings`).

.. [Ng1999] Policy Invariance Under Reward Transformations: Theory and Application to Reward Shaping. ICML.
"""

import numpy as np


def prefix_coalitions(n_units: int) -> np.ndarray:
    """`(n + 1) x n` booleans: the empty coalition, the full one, then the first unit, the first two, ..."""
    beginnings = np.tri(n_units + 1, n_units, -1, dtype=bool)
    return beginnings[[0, *([n_units] if n_units else []), *range(1, n_units)]]


def prefix_values(coalitions: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """`r x n` credits; they sum to v(all) - v(none).

    Args:
        coalitions: `m x n` booleans, those of `prefix_coalitions` among them.
        scores: `r x m`.
    """
    rows = {row.tobytes(): place for place, row in enumerate(coalitions)}
    n_units = coalitions.shape[1]
    places = [rows[row.tobytes()] for row in np.tri(n_units + 1, n_units, -1, dtype=bool)]
    return np.diff(scores[:, places], axis=1)
