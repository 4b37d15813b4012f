"""From games to credit per unit: by our own read-out of one shared table, or by the shap and lime packages."""

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from inner_loop.attribution.estimate import Estimate, estimate
from inner_loop.attribution.library import RememberedGame, library_values
from inner_loop.attribution.owen import Tree
from inner_loop.attribution.prefix import prefix_coalitions, prefix_values
from inner_loop.attribution.single_units import SINGLE_UNIT_METHODS, single_unit_coalitions, single_unit_values
from inner_loop.attribution.table import CoalitionValues

DIFFERENCES = ("prefix", *SINGLE_UNIT_METHODS)
"""Methods whose every value is the difference of two evaluated scores."""


def own_coalitions(method: str, n_units: int) -> np.ndarray:
    """`m x n` booleans: the coalitions that a method of `DIFFERENCES` reads, the empty and the full one first."""
    return prefix_coalitions(n_units) if method == "prefix" else single_unit_coalitions(method, n_units)


def differences(method: str, coalitions: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """`r x n` values of a method of `DIFFERENCES` from `r x m` scores of `m x n` coalitions that hold its own."""
    if method == "prefix":
        return prefix_values(coalitions, scores)
    return single_unit_values(method, coalitions, scores)


@dataclass(frozen=True)
class Game:
    """The game of one response: its `n` players, which coalitions of them are evaluated, and a tree of them."""

    offsets: list[tuple[int, int]]
    """Character ranges of the units."""
    coalitions: np.ndarray
    """`m x n` booleans: the empty coalition, the full one (if n > 0), then others."""
    tree: Tree
    """Partition tree of the units, flat unless Owen values are asked for."""
    linkage: np.ndarray | None
    """The same as a linkage matrix, `(n-1) x 4`, which the libraries read; None if it is flat."""


@dataclass
class Readout:
    """What one game came to."""

    base_value: float
    full_value: float
    n_evaluations: int
    values: dict[str, np.ndarray] = field(default_factory=dict)
    std: dict[str, np.ndarray] = field(default_factory=dict)


def read_out(games: Sequence[Game], tables: Sequence[CoalitionValues], methods: Sequence[str]) -> list[Readout]:
    """Apply each method to each table; games evaluated on the same coalitions are read out together."""
    readouts = [
        Readout(float(table.values[0]), float(table.values[min(1, len(game.offsets))]), table.n_evaluations)
        for game, table in zip(games, tables, strict=True)
    ]
    alike: dict[tuple[str, int, int], list[int]] = defaultdict(list)
    for index, game in enumerate(games):
        for method in methods:
            # Designs are cached: equal ones are one object. A tree belongs to its response.
            alike[method, id(game.coalitions), index if method == "owen" else -1].append(index)
    for (method, _, _), members in alike.items():
        first = games[members[0]]
        scores = np.stack([tables[index].values for index in members])
        if method in DIFFERENCES:
            values = differences(method, first.coalitions, scores)
            result = Estimate(values, np.zeros_like(values))
        else:
            result = estimate(method, first.coalitions, scores, tree=first.tree)
        for row, index in enumerate(members):
            readouts[index].values[method], readouts[index].std[method] = result.values[row], result.std[row]
    return readouts


def ask_libraries(
    game: Game, value_fn: Callable[[np.ndarray], np.ndarray], methods: Sequence[str], budget: int
) -> Readout:
    """The shap and lime packages on one game; each method has evaluations of its own, a repeated one is made once.

    Args:
        game: Only its units and tree are used.
        value_fn: `m x n` coalitions -> `m` scores.
        methods: Coalition methods.
        budget: Evaluations that each method may ask for.
    """
    remembered = RememberedGame(value_fn, len(game.offsets))
    n_units = remembered.n_units
    ends = remembered(np.array([[False] * n_units, [True] * n_units]))
    readout = Readout(float(ends[0]), float(ends[1]), 0)
    for method in methods:
        if method in DIFFERENCES:  # no library has them, and nothing in them is estimated
            coalitions = own_coalitions(method, n_units)
            readout.values[method] = differences(method, coalitions, remembered(coalitions)[None])[0]
        else:
            readout.values[method] = library_values(method, remembered, n_units, budget=budget, tree=game.linkage)[0]
    readout.n_evaluations = remembered.n_evaluations
    return readout
