"""LIME's linear model of a text, as a linear functional of coalition values.

`LimeTextExplainer` removes a uniformly drawn number of random words, weighs each perturbed text by its similarity to
the whole, and fits a weighted linear model. With infinitely many samples, in which its ridge penalty (1 against the sum
of the sample weights) vanishes, that fit is a weighted least-squares projection over all coalitions, which the same
evaluations can serve that serve Shapley values. The coefficients conserve nothing; see `inner_loop.shaping` for the
correction.

The weight of a coalition depends on its size alone. So the projection does not need the 2^n coalitions: with z the
booleans of a coalition drawn by weight, the covariance matrix of z has one value on its diagonal and one off it, and

    phi_i = E[v(z) c(|z|, z_i)],    c(s, z_i) = (z_i - E z_i - shrinkage (s - E s)) / (Var z_i - Cov(z_i, z_j)).

.. [Ribeiro2016] "Why Should I Trust You?" Explaining the Predictions of Any Classifier. arXiv:1602.04938, eq. (2).
"""

from dataclasses import dataclass
from functools import lru_cache
from math import comb

import numpy as np

KERNEL_WIDTH = 25.0
"""Width of LimeTextExplainer's exponential kernel, on cosine distances times 100."""


def lime_functional(coalitions: np.ndarray) -> np.ndarray:
    """`n x 2^n` matrix A with LIME coefficients `A @ v`, for all `2^n x n` coalitions in any order."""
    n_units = coalitions.shape[1]
    sizes = coalitions.sum(axis=1)
    subsets = np.array([float(comb(n_units, size)) for size in range(n_units + 1)])
    if_absent, if_present = coefficients(n_units)
    chance = (size_weights(n_units) / subsets)[sizes]
    return chance * np.where(coalitions.T, if_present[sizes], if_absent[sizes])


def size_weights(n_units: int) -> np.ndarray:
    """Relative weight of all coalitions of each size 0..n: how often LimeTextExplainer draws it, times its kernel.

    The number of removed words is uniform on 1..n, given that each set of that size is equally likely; the kernel is
    sqrt(exp(-d^2 / width^2)) of the cosine distance d to the full text, times 100. The full text itself is the first
    row of every LIME sample: one row among infinitely many weighs nothing.
    """
    if n_units == 1:
        # LIME never draws the text it explains, so one unit leaves it nothing to fit; the only slope there is:
        return np.full(2, 0.5)
    sizes = np.arange(n_units + 1)
    distance = 100 * (1 - np.sqrt(sizes / n_units))
    weights = np.where(sizes < n_units, np.sqrt(np.exp(-(distance**2) / KERNEL_WIDTH**2)), 0.0)
    return weights / weights.sum()


def coefficients(n_units: int) -> np.ndarray:
    """`2 x (n + 1)`: c(s, z_i) of the module's formula for absent and present units, by size s."""
    sizes, weights = np.arange(n_units + 1), size_weights(n_units)
    mean_size = weights @ sizes
    present = mean_size / n_units
    # Chance that two given units are both present; one unit alone has no partner to covary with.
    both = weights @ (sizes * (sizes - 1)) / (n_units * (n_units - 1)) if n_units > 1 else present**2
    covariance = both - present**2
    spread = present - both
    shrinkage = covariance / (spread + n_units * covariance)
    return (np.array([[0.0], [1.0]]) - present - shrinkage * (sizes - mean_size)) / spread


@dataclass(frozen=True)
class LimeValue:
    """LIME's coefficients as a functional of the surrogate's prior."""

    n_units: int

    def cross_covariance(self, coalitions: np.ndarray, rhos: np.ndarray) -> np.ndarray:
        """`p x n x m` covariances with the values of `m x n` coalitions, which depend on size and unit alone."""
        others = coalitions.sum(axis=1) - coalitions.T
        present = coalitions.T.astype(np.intp)
        return np.stack([_covariances(self.n_units, rho)[present, others] for rho in rhos.tolist()])

    def variance(self, rhos: np.ndarray) -> np.ndarray:
        """`p x n` prior variances, the same for all units."""
        absent, present = _weights_by_size(self.n_units)
        covariances = np.stack([_covariances(self.n_units, rho) for rho in rhos.tolist()])
        variances = covariances[:, 0] @ absent[:-1] + covariances[:, 1] @ present[1:]
        return np.repeat(variances[:, None], self.n_units, axis=1)


def _weights_by_size(n_units: int) -> np.ndarray:
    """`2 x (n + 1)`: weights of the mean values of the coalitions of each size without unit i, and with it."""
    sizes = np.arange(n_units + 1)
    return size_weights(n_units) * coefficients(n_units) * [1 - sizes / n_units, sizes / n_units]


@lru_cache(maxsize=256)
def _covariances(n_units: int, rho: float) -> np.ndarray:
    """`2 x n`: covariance of unit i's coefficient with v(T), by whether T holds i and how many other units it holds."""
    absent, present = _weights_by_size(n_units)
    means = _mean_products(n_units - 1, rho)
    # Coalitions S of the projection, with and without i, of which the other units are a random set.
    without, with_unit = means @ absent[:-1], means @ present[1:]
    return np.stack([(1 + rho) * without + (1 - rho) * with_unit, (1 - rho) * without + (1 + rho) * with_unit])


def _mean_products(n_units: int, rho: float) -> np.ndarray:
    """`(n + 1) x (n + 1)`: mean of prod_u (1 + rho s_u t_u) over the sets S of each size, by row the size of T.

    Unit by unit, T's units first: the last of k units is in a random set of size s with probability s / k. All terms
    are positive and none larger than (1 + rho)^n, where sums over subsets would overflow.
    """
    sizes = np.arange(n_units + 1)
    means = np.zeros((n_units + 1, n_units + 1))
    means[:, 0] = 1.0
    for k in range(1, n_units + 1):
        sign = np.where(sizes >= k, 1.0, -1.0)[:, None]
        chance = np.minimum(sizes / k, 1.0)
        joined = np.pad(means[:, :-1], ((0, 0), (1, 0)))
        means = (1 - chance) * (1 - rho * sign) * means + chance * (1 + rho * sign) * joined
    return means
