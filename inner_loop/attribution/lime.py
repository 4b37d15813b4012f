"""LIME's linear model of a text, as a linear functional of coalition values.

`LimeTextExplainer` removes a uniformly drawn number of random words, weighs each perturbed text by its similarity to
the whole, and fits a weighted linear model. With infinitely many samples that fit is a weighted least-squares
projection over all coalitions: a matrix, which the same evaluations can serve that serve Shapley values.

.. [Ribeiro2016] "Why Should I Trust You?" Explaining the Predictions of Any Classifier. arXiv:1602.04938, eq. (2).
"""

from math import comb

import numpy as np

from inner_loop.attribution.surrogate import all_coalitions

KERNEL_WIDTH = 25.0
"""Width of LimeTextExplainer's exponential kernel, on cosine distances times 100."""


def lime_functional(n_units: int) -> np.ndarray:
    """`n x 2^n` matrix A with LIME coefficients `A @ v`, v in the order of `all_coalitions`.

    The limit of `LimeTextExplainer` for infinitely many samples, in which its ridge penalty (1 against the sum of the
    sample weights) vanishes. The coefficients conserve nothing; see `inner_loop.shaping` for the correction.
    """
    coalitions = all_coalitions(n_units)
    if n_units == 1:
        # LIME never draws the text it explains, so one unit leaves it nothing to fit; the only slope there is:
        return np.array([[-1.0, 1.0]])
    design = np.column_stack([np.ones(len(coalitions)), coalitions])
    weighted = design.T * sample_weights(n_units)[coalitions.sum(axis=1)]
    return np.linalg.solve(weighted @ design, weighted)[1:]


def sample_weights(n_units: int) -> np.ndarray:
    """Weight of one coalition by its size 0..n: how often LimeTextExplainer draws it, times its kernel weight.

    The number of removed words is uniform on 1..n, given that each set of that size is equally likely; the kernel is
    sqrt(exp(-d^2 / width^2)) of the cosine distance d to the full text, times 100.
    """
    sizes = np.arange(n_units + 1)
    subsets = np.array([comb(n_units, int(size)) for size in sizes], dtype=float)
    drawn = np.where(sizes < n_units, 1 / (n_units * subsets), 0.0)
    # The full text itself is the first row of every LIME sample: one row among infinitely many weighs nothing.
    distance = 100 * (1 - np.sqrt(sizes / n_units))
    return drawn * np.sqrt(np.exp(-(distance**2) / KERNEL_WIDTH**2))
