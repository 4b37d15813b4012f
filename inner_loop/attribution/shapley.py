"""Shapley values as a linear functional of the values of all coalitions; `owen` has them as the value of a flat tree.

.. [Shapley1953] A Value for n-Person Games. Contributions to the Theory of Games II, 307-317.
"""

from math import comb

import numpy as np


def shapley_functional(coalitions: np.ndarray) -> np.ndarray:
    """`n x 2^n` matrix A with Shapley values `A @ v`, for all `2^n x n` coalitions in any order.

    phi_i = sum over S without i of [v(S + i) - v(S)] / (n * C(n - 1, |S|)), [Shapley1953]_. Rows of A @ v sum to
    v(all) - v(none).
    """
    n_units = coalitions.shape[1]
    sizes = coalitions.sum(axis=1)
    joined = np.array([0.0] + [1 / (n_units * comb(n_units - 1, size - 1)) for size in range(1, n_units + 1)])
    missing = np.array([1 / (n_units * comb(n_units - 1, size)) for size in range(n_units)] + [0.0])
    return np.where(coalitions.T, joined[sizes], -missing[sizes])
