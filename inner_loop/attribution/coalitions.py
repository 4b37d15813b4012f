"""Which coalitions to evaluate: a fixed design of complement pairs, the best ones first.

Shapley values depend only on the odd part of the game, v(S) - v(complement of S), so coalitions come in complement
pairs. Under the Gaussian-process prior of `surrogate` the posterior variance does not depend on the scores: the
greedy choice, pair by pair, of what lowers the variance of the Shapley values most can be made once for each number of
units and kept. The design is nested: the first pairs of a large budget are the design of a small one.
"""

from functools import lru_cache

import numpy as np

from inner_loop.attribution.shapley import shapley_functional
from inner_loop.attribution.surrogate import MAX_UNITS, all_coalitions, prior_covariance

MIN_VARIANCE = 1e-9
"""Odd parts known better than this (prior variances are of order one) have nothing left to tell."""

TIE_DIGITS = 9
"""Gains that agree to as many digits count as equal."""


@lru_cache(maxsize=64)
def coalition_design(n_units: int, budget: int) -> np.ndarray:
    """`m x n` distinct coalitions, m <= min(budget, 2^n): the empty one first, the full one second, then pairs.

    Empty and full coalition are always evaluated, so efficiency holds at any budget. An odd budget leaves one
    evaluation unspent; `2^n <= budget` enumerates everything.

    Raises:
        ValueError: If `n_units` is not in 1..MAX_UNITS or the budget is below 2.
    """
    if not 1 <= n_units <= MAX_UNITS:
        raise ValueError(f"A design needs 1 to {MAX_UNITS} units, got {n_units}.")
    if budget < 2:
        raise ValueError(f"The empty and the full coalition need a budget of 2, got {budget}.")
    firsts = _greedy_pairs(n_units, min(budget // 2, 2 ** (n_units - 1)))
    design = np.stack([firsts, ~firsts], axis=1).reshape(-1, n_units)
    design.setflags(write=False)
    return design


def _greedy_pairs(n_units: int, n_pairs: int) -> np.ndarray:
    """`n_pairs x n`: one coalition of each chosen complement pair, most informative first, the empty one before all."""
    everything = all_coalitions(n_units)
    # The last unit is absent in the first half: one coalition of each pair, row 0 being the empty one.
    firsts = everything[: 2 ** (n_units - 1)]
    if n_pairs == len(firsts):
        return firsts
    # Covariances of the odd part (v(S) - v(complement)) / 2, among pairs and with the Shapley values.
    odd = (prior_covariance(firsts, firsts) - prior_covariance(firsts, ~firsts)) / 2
    functional = shapley_functional(n_units)
    with_shapley = functional @ (prior_covariance(everything, firsts) - prior_covariance(everything, ~firsts)) / 2

    chosen = [0]
    for _ in range(1, n_pairs):
        # Condition on the pair chosen last: a rank-one downdate of what is still uncertain.
        column = odd[:, chosen[-1]] / odd[chosen[-1], chosen[-1]]
        with_shapley -= np.outer(with_shapley[:, chosen[-1]], column)
        odd -= np.outer(odd[:, chosen[-1]], column)
        gain = (with_shapley**2).sum(axis=0) / np.maximum(np.diag(odd), MIN_VARIANCE)
        gain[chosen] = -np.inf
        # By symmetry many pairs tie: the lowest number wins, and rounding keeps that so on every machine.
        chosen.append(int(np.argmax(np.round(gain / gain.max(), TIE_DIGITS))))
    return firsts[chosen]
