"""From evaluated coalitions to attributions: exact where the coalitions allow it, else what the surrogate expects."""

from dataclasses import dataclass

import numpy as np

from inner_loop.attribution.cache import ByteLimitedCache
from inner_loop.attribution.lime import LimeValue, lime_functional
from inner_loop.attribution.owen import HierarchicalValue, Tree, exact_weights, flat_tree
from inner_loop.attribution.shapley import shapley_functional
from inner_loop.attribution.surrogate import Functional, condition, fit, posterior
from inner_loop.errors import AttributionError
from inner_loop.io.schema import nearest

METHODS = ("shapley", "lime", "owen")
"""Attributions that are linear in the coalition values."""

CACHE_BYTES = 2**28
"""What was computed from the coalitions used last is kept, up to this much memory."""

_CACHE = ByteLimitedCache(CACHE_BYTES)


@dataclass(frozen=True)
class Estimate:
    """Attributions of `r` games of `n` units."""

    values: np.ndarray
    """`r x n`, in score units."""
    std: np.ndarray
    """`r x n` posterior standard deviations; 0 where the values are exact."""


def estimate(method: str, coalitions: np.ndarray, scores: np.ndarray, *, tree: Tree | None = None) -> Estimate:
    """Attributions of `r` games that were evaluated on the same coalitions.

    Shapley and LIME values are exact when all 2^n coalitions are there, Owen values when the tree's own are, whatever
    others are. Else they are posterior means under the prior of `surrogate`. Shapley and Owen values sum to
    v(all) - v(none) of their game. A game's result depends on its own scores alone.

    Args:
        method: `shapley`, `lime`, or `owen`.
        coalitions: `m x n` booleans, distinct, the empty and the full one among them.
        scores: `r x m`, finite.
        tree: Of `owen`: which units belong together.

    Raises:
        AttributionError: If the method is unknown, `owen` has no tree, or the empty or the full coalition is missing.
    """
    check_method(method)
    n_units = coalitions.shape[1]
    scores = np.asarray(scores, dtype=np.float64)
    if scores.ndim != 2 or scores.shape[1] != len(coalitions):
        raise AttributionError(f"{len(coalitions)} coalitions need r x {len(coalitions)} scores, got {scores.shape}.")
    if n_units == 0:
        return Estimate(np.zeros((len(scores), 0)), np.zeros((len(scores), 0)))
    if method != "owen":
        tree = None
    elif tree is None or tree.n_units != n_units:
        raise AttributionError(f"Owen values of {n_units} units need a tree of {n_units} units, got {tree}.")
    key = n_units, np.packbits(coalitions, axis=1).tobytes()
    weights = _CACHE.get((*key, method, tree), lambda: _exact_weights(method, coalitions, tree))
    if weights.size:
        values, std = scores @ weights.T, np.zeros((len(scores), n_units))
    else:
        surrogate = _CACHE.get(key, lambda: fit(coalitions))
        readout = _CACHE.get(
            (*key, method, tree, "readout"), lambda: condition(_functional(method, n_units, tree), surrogate)
        )
        values, std = posterior(readout, surrogate, scores)
    if method != "lime":
        sizes = coalitions.sum(axis=1)
        total = scores[:, sizes.argmax()] - scores[:, sizes.argmin()]
        # Efficiency holds but for rounding and the jitter of the surrogate; now it holds to the last digits.
        values = values + (total - values.sum(axis=1))[:, None] / n_units
    return Estimate(values, std)


def check_method(method: str) -> None:
    """Raise AttributionError, naming the nearest method, unless `method` is one of METHODS."""
    if method not in METHODS:
        raise AttributionError(
            f"Unknown method {method!r}, did you mean {nearest(method, METHODS)!r}? Methods: {', '.join(METHODS)}."
        )


def _functional(method: str, n_units: int, tree: Tree | None) -> Functional:
    if method == "lime":
        return LimeValue(n_units)
    return HierarchicalValue(tree or flat_tree(n_units))


def _exact_weights(method: str, coalitions: np.ndarray, tree: Tree | None) -> np.ndarray:
    """`n x m` weights that give the exact values, or an empty array if the coalitions do not suffice."""
    n_units = coalitions.shape[1]
    sizes = coalitions.sum(axis=1)
    if sizes.min() > 0 or sizes.max() < n_units:
        raise AttributionError("The coalitions must hold the empty and the full one.")
    if tree:
        return exact_weights(tree, coalitions)
    if len(coalitions) < 2**n_units:
        return np.zeros((0, 0))
    return (lime_functional if method == "lime" else shapley_functional)(coalitions)
