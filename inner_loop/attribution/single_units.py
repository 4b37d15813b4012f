"""What one unit is worth by itself: missing from the whole (leave-one-out), or alone with the prompt (solo).

Leave-one-out values are v(all) - v(all but i), solo values v(i alone) - v(none): the two ends of the semivalues,
between which Shapley values weigh all sizes alike. Neither sums to v(all) - v(none). A design for Shapley values of
2 n + 2 evaluations or more holds these coalitions, so that both are free beside those.

.. [Covert2021] Explaining by Removing: A Unified Framework for Model Explanation. JMLR 22(209).
"""

import numpy as np

SINGLE_UNIT_METHODS = ("leave_one_out", "solo")
"""The methods of this module."""


def single_unit_coalitions(method: str, n_units: int) -> np.ndarray:
    """`(n + 2) x n` booleans: the empty coalition, the full one, then those that differ from one of them in one unit.

    Args:
        method: `leave_one_out` or `solo`.
        n_units: `n >= 2`; fewer have nothing but the two ends.
    """
    ends = np.array([[False] * n_units, [True] * n_units])
    if n_units < 2:
        return ends[: n_units + 1]
    alone = np.eye(n_units, dtype=bool)
    return np.concatenate([ends, ~alone if method == "leave_one_out" else alone])


def single_unit_values(method: str, coalitions: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """`r x n` credits.

    Args:
        method: `leave_one_out` or `solo`.
        coalitions: `m x n` booleans, those of `single_unit_coalitions` among them.
        scores: `r x m`.
    """
    n_units = coalitions.shape[1]
    rows = {row.tobytes(): place for place, row in enumerate(coalitions)}
    if n_units < 2:
        return np.repeat(scores[:, [-1]] - scores[:, [0]], n_units, axis=1)
    places = [rows[row.tobytes()] for row in single_unit_coalitions(method, n_units)]
    none, everything, single = scores[:, places[:1]], scores[:, places[1:2]], scores[:, places[2:]]
    return everything - single if method == "leave_one_out" else single - none
