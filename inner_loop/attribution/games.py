"""Attribution of any cooperative game: a function of coalitions, not yet a reward model."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from inner_loop.attribution.coalitions import coalition_design
from inner_loop.attribution.estimate import check_method, estimate
from inner_loop.attribution.owen import Groups, Tree, as_tree, count_tree_coalitions, tree_coalitions
from inner_loop.errors import AttributionError


@dataclass(frozen=True)
class GameAttribution:
    """What a game's units are worth, and what it took to find out."""

    values: np.ndarray
    """`n`, in the game's units. Shapley and Owen values sum to `full_value - base_value`."""
    base_value: float
    """The value of the empty coalition."""
    full_value: float
    """The value of the full coalition."""
    n_evaluations: int
    """Distinct coalitions evaluated."""
    std: np.ndarray
    """`n` posterior standard deviations; 0 where the values are exact."""


def attribute_game(
    value_fn: Callable[[np.ndarray], np.ndarray],
    n_units: int,
    *,
    method: str = "shapley",
    budget: int,
    groups: Groups | Tree | None = None,
    seed: int | None = None,
) -> GameAttribution:
    """Attribute a game's value to its units from at most `budget` evaluations, all asked for in one call.

    Values are exact if `2^n <= budget`; Owen values also if the coalitions of their tree fit the budget.

    >>> game = lambda coalitions: coalitions @ [1.0, 2.0, 3.0] + coalitions[:, 0] * coalitions[:, 1]
    >>> attribute_game(game, 3, budget=8).values.round(6).tolist()
    [1.5, 2.5, 3.0]

    Args:
        value_fn: `m x n` booleans, True = unit present -> `m` finite values.
        n_units: Number of units; may be 0.
        method: `shapley`, `lime`, or `owen`.
        budget: Distinct coalitions that may be evaluated; at least the empty and the full one. Unless they make the
            values exact, m coalitions take time m^3 and memory m^2 beyond the calls: on one core about 0.5 s for 1,000
            coalitions, and 7 to 9 s and 1.2 GB for 5,000.
        groups: Of `owen`: nested lists of units, or a linkage matrix; see `as_tree`.
        seed: Another random part of the candidate coalitions of many units; None takes the fixed design.

    Raises:
        AttributionError: If the method is unknown, the budget too small, the groups are missing or do not partition the
            units, or `value_fn` returns anything but one finite value per coalition.
    """
    check_method(method)
    if n_units < 0 or budget < min(2, 2**n_units):
        raise AttributionError(f"{n_units} units cannot be attributed with a budget of {budget}; it takes at least 2.")
    if method == "owen" and groups is None:
        raise AttributionError("Owen values need groups: nested lists of units or a linkage matrix.")
    tree = as_tree(groups, n_units) if method == "owen" and groups is not None and n_units else None
    coalitions = _coalitions(n_units, budget, tree, seed)
    values = _checked(value_fn(coalitions.copy()), coalitions)
    result = estimate(method, coalitions, values[None], tree=tree)
    return GameAttribution(
        values=result.values[0],
        base_value=float(values[0]),
        full_value=float(values[1 if n_units else 0]),
        n_evaluations=len(coalitions),
        std=result.std[0],
    )


def _coalitions(n_units: int, budget: int, tree: Tree | None, seed: int | None) -> np.ndarray:
    """What to evaluate: the empty coalition first, then the full one."""
    if n_units == 0:
        return np.zeros((1, 0), dtype=bool)
    if tree and count_tree_coalitions(tree, budget) <= budget:
        return tree_coalitions(tree)
    return coalition_design(n_units, budget, tree=tree, seed=seed)


def _checked(values: np.ndarray, coalitions: np.ndarray) -> np.ndarray:
    values = np.asarray(values, dtype=np.float64)
    if values.shape != (len(coalitions),):
        raise AttributionError(
            f"value_fn must return one value per coalition: asked for {len(coalitions)}, got shape {values.shape}."
        )
    if len(invalid := np.flatnonzero(~np.isfinite(values))):
        present = np.flatnonzero(coalitions[invalid[0]]).tolist()
        raise AttributionError(
            f"value_fn returned {values[invalid[0]]} for coalition {invalid[0]}, in which units {present} are present."
        )
    return values
