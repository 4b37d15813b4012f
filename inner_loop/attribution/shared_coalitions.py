"""Which coalitions the methods asked for share, of one response: within the budget, as few as serve them all."""

from collections.abc import Sequence
from functools import lru_cache

import numpy as np

from inner_loop.attribution.coalitions import coalition_design
from inner_loop.attribution.owen import Tree, count_tree_coalitions, tree_coalitions
from inner_loop.attribution.readout import DIFFERENCES, own_coalitions
from inner_loop.errors import AttributionError


def shared_coalitions(
    n_units: int, methods: Sequence[str], budget: int, tree: Tree, *, prefixes_are_free: bool = False
) -> np.ndarray:
    """Which coalitions one response's methods share: within the budget, the empty one first, then the full one.

    Methods that are differences of two scores have to have their own coalitions: prefix credit n - 1 of them, which a
    causal reward model gives for free, leave-one-out and solo credit n, which a design for Shapley values holds anyway.
    The tree's own make Owen values exact, but like prefixes they tell Shapley values and LIME less than the same number
    of designed ones: beside those they may take half the budget. Responses for which the same coalitions serve get the
    same array, and are read out together.

    Raises:
        AttributionError: If the budget does not cover the coalitions that a method has to have.
    """
    if n_units == 0:
        return np.zeros((1, 0), dtype=bool)
    parts, designed = [], {"shapley", "lime"} & set(methods)
    if designed and 2**n_units <= budget:
        return coalition_design(n_units, budget)  # everything: prefixes and the tree's own are in it
    own = [method for method in DIFFERENCES if method in methods]
    parts += [own_coalitions(method, n_units) for method in own]
    _check_budget([method for method in own if method != "prefix" or not prefixes_are_free], n_units, budget)
    if "owen" in methods:
        room = budget // 2 if designed else budget
        if count_tree_coalitions(tree, room) <= room:
            parts.append(tree_coalitions(tree))
        else:
            designed.add("owen")
    if designed:
        parts.append(coalition_design(n_units, budget, tree=tree if designed == {"owen"} else None))
    if len(parts) < 2:
        return parts[0] if parts else coalition_design(n_units, 2)
    together = np.concatenate(parts)
    return _shared(together.tobytes(), n_units, budget + (n_units - 1 if prefixes_are_free else 0))


def _check_budget(methods: Sequence[str], n_units: int, budget: int) -> None:
    """Raise `AttributionError` unless the budget covers the coalitions that `methods` have to have."""
    if not methods:
        return
    needed = len(np.unique(np.concatenate([own_coalitions(method, n_units) for method in methods]), axis=0))
    if needed > budget:
        *first, last = (method.replace("_", "-") for method in methods)
        names = f"{', '.join(first)} and {last}" if first else last
        raise AttributionError(
            f"{names.capitalize()} credit of {n_units} units takes {needed} evaluations, over the budget of {budget}; "
            "take fewer units (spans, say) or a larger budget."
        )


@lru_cache(maxsize=256)
def _shared(coalitions: bytes, n_units: int, budget: int) -> np.ndarray:
    """The first `budget` distinct rows of coalitions; one array for all responses that have the same ones."""
    rows = np.frombuffer(coalitions, dtype=bool).reshape(-1, n_units)
    _, first = np.unique(rows, axis=0, return_index=True)
    return rows[np.sort(first)[:budget]]
