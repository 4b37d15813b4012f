"""What the estimators should find, by plain enumeration of a game whose value is known for every coalition.

Written apart from `inner_loop.attribution`, by another route where there is one, so that the two can check each other.
A table holds the `2^n` values of a game of n units; entry c belongs to the coalition of the binary digits of c, lowest
first.

.. [Shapley1953] A value for n-person games.
.. [Ribeiro2016] "Why Should I Trust You?" Explaining the Predictions of Any Classifier. arXiv:1602.04938.
"""

from __future__ import annotations

from math import comb, factorial

import numpy as np

LIME_KERNEL_WIDTH = 25.0
"""LimeTextExplainer's, on cosine distances times 100."""


def all_coalitions(n_units: int) -> np.ndarray:
    """`2^n x n` booleans in the order of a table."""
    return (np.arange(2**n_units)[:, None] >> np.arange(n_units)) % 2 == 1


def look_up(table: np.ndarray, coalitions: np.ndarray) -> np.ndarray:
    """`m` values of `m x n` coalitions (anything that is true where a unit is present)."""
    present = np.asarray(coalitions).astype(bool)
    return table[present @ (1 << np.arange(present.shape[1]))]


def n_units_of(table: np.ndarray) -> int:
    """Units of a game whose table has `2^n` values."""
    return len(table).bit_length() - 1


def exact_shapley(table: np.ndarray) -> np.ndarray:
    """`n` Shapley values: marginal contributions, weighted by the orders in which they happen [Shapley1953]_."""
    n = n_units_of(table)
    numbers = np.arange(len(table))
    sizes = all_coalitions(n).sum(axis=1)
    weight = np.array([factorial(size) * factorial(n - size - 1) / factorial(n) for size in range(n)])
    values = np.empty(n)
    for unit in range(n):
        without = numbers[numbers >> unit & 1 == 0]
        values[unit] = weight[sizes[without]] @ (table[without | 1 << unit] - table[without])
    return values


def exact_owen(table: np.ndarray, linkage: np.ndarray) -> np.ndarray:
    """`n` Owen values over a binary tree, as `shap`'s Partition defines them.

    From the root down, the two children of a node share what the node is worth: each gets the mean of its marginal
    contributions without and with the other.

    Args:
        table: The game.
        linkage: `(n - 1) x 4` merges, as of scipy: row r makes node n + r of the nodes in its first two columns.
    """
    n = n_units_of(table)
    children = {n + row: (int(left), int(right)) for row, (left, right) in enumerate(linkage[:, :2])}

    def members(node: int) -> int:
        return 1 << node if node < n else members(children[node][0]) | members(children[node][1])

    values = np.empty(n)

    def share(node: int, contexts: list[int]) -> None:
        if node < n:
            values[node] = np.mean([table[context | 1 << node] - table[context] for context in contexts])
            return
        for child, sibling in (children[node], children[node][::-1]):
            share(child, contexts + [context | members(sibling) for context in contexts])

    share(max(children), [0])
    return values


def exact_lime(table: np.ndarray) -> np.ndarray:
    """`n` coefficients that LimeTextExplainer tends to with ever more samples [Ribeiro2016]_.

    It draws the number of removed units uniformly from 1..n and then the units, weighs each text by the cosine
    similarity to the whole, and fits a weighted ridge, whose penalty of 1 vanishes beside many samples.
    """
    n = n_units_of(table)
    coalitions = all_coalitions(n)
    sizes = coalitions.sum(axis=1)
    drawn = np.array([1 / (n * comb(n, size)) if size < n else 0.0 for size in range(n + 1)])
    distance = 100 * (1 - np.sqrt(np.arange(n + 1) / n))
    kernel = np.sqrt(np.exp(-(distance**2) / LIME_KERNEL_WIDTH**2))
    root = np.sqrt((drawn * kernel)[sizes])
    design = np.column_stack([np.ones(len(table)), coalitions])
    return np.linalg.lstsq(design * root[:, None], table * root, rcond=None)[0][1:]
