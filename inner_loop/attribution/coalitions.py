"""Which coalitions to evaluate: a fixed design of complement pairs, the best ones first.

Shapley and Owen values depend only on the odd part of the game, v(S) - v(complement of S), so coalitions come in
complement pairs. Under the Gaussian-process prior of `surrogate` with a fixed rho, the posterior variance does not
depend on the scores: the greedy choice, pair by pair, of what lowers the variance of the values most can be made once
for each number of units and kept. The design is nested: the first pairs of a large budget are those of a small one.
"""

from functools import lru_cache
from math import comb

import numpy as np

from inner_loop.attribution.owen import HierarchicalValue, Tree, flat_tree
from inner_loop.attribution.surrogate import covariance_by_distance, cross_covariance, distances, prior_grid
from inner_loop.errors import AttributionError

DESIGN_ORDER = 2.5
"""The roughness of the prior that the design is made for; see `surrogate.ORDERS`. On exact tables 1.2 left 3 to 15 %
more error at 64 evaluations and 40 to 50 % more at 256."""

MAX_ENUMERATED = 12
"""Up to here all pairs are candidates; beyond, a pool of pairs."""

MAX_ORDERED = 20
"""Up to here the pairs beyond the candidates come from a random order of all pairs; beyond, they are drawn until there
are enough."""

POOL_SIZE = 2**11
"""Candidate pairs beyond MAX_ENUMERATED units."""

MAX_GREEDY_PAIRS = 2**9
"""Pairs chosen one by one; a larger budget takes the other candidates in their own order, then random pairs."""

MIN_GAIN = 1e-7
"""Relative to the gain of the first pair; below, rounding errors would choose, and the candidates' own order does."""

MIN_VARIANCE = 1e-9
"""Odd parts known better than this (prior variances are of order one) have nothing left to tell."""

TIE_DIGITS = 9
"""Gains that agree to as many digits count as equal."""


def all_coalitions(n_units: int) -> np.ndarray:
    """All `2^n x n` coalitions; row c holds the binary digits of c, lowest first."""
    return (np.arange(2**n_units)[:, None] >> np.arange(n_units)) % 2 == 1


@lru_cache(maxsize=128)
def coalition_design(n_units: int, budget: int, *, tree: Tree | None = None, seed: int | None = None) -> np.ndarray:
    """`m x n` distinct coalitions: the empty one first, the full one second, then pairs of complements.

    m is the smaller of budget and 2^n, but that an odd budget leaves one evaluation unspent; `2^n <= budget`
    enumerates everything. Empty and full coalition are always evaluated, so efficiency holds at any budget.

    Args:
        n_units: Number of units, at least one.
        budget: Evaluations allowed, at least two.
        tree: Aim at the hierarchical value of this tree; None aims at Shapley values.
        seed: Of the random pairs, for more than MAX_ENUMERATED units.

    Raises:
        AttributionError: If there is no unit or the budget is below 2.
    """
    if n_units < 1:
        raise AttributionError(f"A design needs at least one unit, got {n_units}.")
    if budget < 2:
        raise AttributionError(f"The empty and the full coalition need a budget of 2, got {budget}.")
    n_pairs = min(budget // 2, 2 ** (n_units - 1))
    firsts = _candidates(n_units, seed or 0)
    chosen = _greedy(HierarchicalValue(tree or flat_tree(n_units)), firsts[:POOL_SIZE], n_pairs)
    firsts = np.concatenate([firsts[chosen], np.delete(firsts, chosen, axis=0)])
    if len(firsts) < n_pairs:
        firsts = _extended(firsts, n_pairs, seed or 0)
    firsts = firsts[:n_pairs]
    design = np.stack([firsts, ~firsts], axis=1).reshape(-1, n_units)
    design.setflags(write=False)
    return design


def _candidates(n_units: int, seed: int) -> np.ndarray:
    """One coalition of each candidate pair, distinct, the empty one first."""
    if n_units <= MAX_ENUMERATED:
        return _everything(n_units)
    rows = [np.zeros((1, n_units), dtype=bool), np.eye(n_units, dtype=bool), *_blocks(n_units)]
    n_random = max(POOL_SIZE - sum(map(len, rows)), POOL_SIZE // 2)
    return _distinct([*rows, _random(n_units, n_random, seed)])


def _extended(firsts: np.ndarray, n_pairs: int, seed: int) -> np.ndarray:
    """At least `n_pairs` rows of distinct pairs: the given ones, then others; a larger number adds more."""
    n_units, n_random = firsts.shape[1], n_pairs
    if n_units <= MAX_ORDERED:
        return _distinct([firsts, _ordered(n_units, n_pairs, seed)])
    extended = firsts
    while len(extended) < n_pairs:
        n_random *= 2
        extended = _distinct([firsts, _random(n_units, n_random, seed)])
    return extended


def _distinct(rows: list[np.ndarray]) -> np.ndarray:
    """One coalition of each pair, the one without the last unit, in the order of the given `m x n` coalitions."""
    firsts = np.concatenate(rows)
    firsts = firsts ^ firsts[:, -1:]
    return np.stack(list({row.tobytes(): row for row in firsts}.values()))


def _everything(n_units: int) -> np.ndarray:
    return all_coalitions(n_units - 1) @ np.eye(n_units - 1, n_units, dtype=bool)


def _ordered(n_units: int, n_pairs: int, seed: int) -> np.ndarray:
    """The first `n_pairs` of all pairs in random order: as if drawn one by one, each size as often as any other."""
    numbers = np.arange(2 ** (n_units - 1))
    sets = np.array([float(comb(n_units, size)) for size in range(n_units)])
    # The first of independent exponential arrival times is each with a chance proportional to its rate.
    times = np.random.default_rng(seed).exponential(size=len(numbers)) * sets[np.bitwise_count(numbers)]
    return np.argsort(times)[:n_pairs, None] >> np.arange(n_units) & 1 == 1


def _blocks(n_units: int) -> list[np.ndarray]:
    """Blocks of neighbours, of lengths that grow by half, each overlapping the next by half."""
    blocks, length = [], 2
    while length <= n_units // 2:
        starts = np.arange(0, n_units - length + 1, length // 2)[:, None]
        places = np.arange(n_units)
        blocks.append((places >= starts) & (places < starts + length))
        length += (length + 1) // 2
    return blocks


def _random(n_units: int, n_rows: int, seed: int) -> np.ndarray:
    """Random coalitions whose sizes run through 2..n/2 again and again."""
    ranks = np.random.default_rng(seed).random((n_rows, n_units)).argsort(axis=1).argsort(axis=1)
    sizes = 2 + np.arange(n_rows) % (n_units // 2 - 1)
    return ranks < sizes[:, None]


def _greedy(functional: HierarchicalValue, firsts: np.ndarray, n_pairs: int) -> np.ndarray:
    """Rows of at most `n_pairs` candidates, most informative first, row 0 (empty and full) before all."""
    prior = prior_grid(firsts.shape[1], orders=[DESIGN_ORDER], tails=[0.0])
    # Covariances of the odd part (v(S) - v(complement)) / 2 with the values: those of v(S), since they change sign from
    # S to its complement, as the values depend on nothing but the odd part. Those among pairs only as needed.
    with_values = cross_covariance(functional, firsts, prior)[0]
    by_distance = covariance_by_distance(firsts.shape[1], prior)[0]
    odd_by_distance = (by_distance - by_distance[::-1]) / 2
    variances = np.full(len(firsts), odd_by_distance[0])
    known = np.zeros((min(n_pairs, MAX_GREEDY_PAIRS), len(firsts)))

    chosen = [0]
    least = MIN_GAIN * (with_values[:, 0] ** 2).sum() / variances[0]
    for step in range(1, len(known)):
        # Condition on the pair chosen last: one step of a pivoted Cholesky decomposition.
        last = chosen[-1]
        column = odd_by_distance[distances(firsts[[last]], firsts)[0]] - known[: step - 1, last] @ known[: step - 1]
        known[step - 1] = column / np.sqrt(column[last])
        with_values -= np.outer(with_values[:, last] / np.sqrt(column[last]), known[step - 1])
        variances -= known[step - 1] ** 2
        gain = (with_values**2).sum(axis=0) / np.maximum(variances, MIN_VARIANCE)
        gain[chosen] = 0.0
        if gain.max() < least:
            break
        # By symmetry many pairs tie: the lowest number wins, and rounding keeps that so on every machine.
        chosen.append(int(np.argmax(np.round(gain / gain.max(), TIE_DIGITS))))
    return np.array(chosen)
