"""Shapley values as a linear functional of coalition values.

.. [Shapley1953] A Value for n-Person Games. Contributions to the Theory of Games II, 307-317.
"""

from math import comb

import numpy as np

from inner_loop.attribution.surrogate import all_coalitions


def shapley_functional(n_units: int) -> np.ndarray:
    """`n x 2^n` matrix A with Shapley values `A @ v`, v in the order of `all_coalitions`.

    phi_i = sum over S without i of [v(S + i) - v(S)] / (n * C(n - 1, |S|)), [Shapley1953]_. Rows of A @ v sum to
    v(all) - v(none).
    """
    coalitions = all_coalitions(n_units)
    sizes = coalitions.sum(axis=1)
    joined = np.array([0.0] + [1 / (n_units * comb(n_units - 1, size - 1)) for size in range(1, n_units + 1)])
    missing = np.array([1 / (n_units * comb(n_units - 1, size)) for size in range(n_units)] + [0.0])
    return np.where(coalitions.T, joined[sizes], -missing[sizes])
