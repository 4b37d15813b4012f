"""Shapley and Owen values as one family: the hierarchical value of a tree over the units.

At each node of the tree its children join in random order, each with all its units at once or not at all; a unit's
value is its expected contribution when the orders at all nodes are independent. A flat tree gives Shapley values, two
levels Owen values [Owen1977]_, deeper trees the values of [Winter1989]_; `shap`'s PartitionExplainer computes those of
a binary tree.

In a random order, the siblings before a child are a set to which each sibling belongs independently with probability
p, with p uniform on [0, 1]. Hence expectations of products over units factor, given p, and the prior covariances of
`surrogate` have closed forms: polynomials in p, integrated exactly by Gauss-Legendre quadrature.

.. [Owen1977] Values of Games with a Priori Unions. Mathematical Economics and Game Theory, 76-88.
.. [Winter1989] A Value for Cooperative Games with Levels Structure of Cooperation. Int. J. Game Theory 18, 227-240.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from math import comb
from typing import Any, TypeAlias

import numpy as np

from inner_loop.errors import AttributionError

Groups: TypeAlias = list[Any] | tuple[Any, ...] | np.ndarray
"""Unit indices in lists nested to any depth, or a linkage matrix."""

MAX_TREE_COALITIONS = 2**20
"""Nodes whose children and contexts need more coalitions than this are refused, not enumerated."""


@dataclass(frozen=True)
class Tree:
    """A tree whose leaves are the units."""

    n_units: int
    nodes: tuple[tuple[int, ...], ...]
    """Children of each inner node: numbers below `n_units` are units, `n_units + j` is node j. Children come before
    their parents; the root is last."""

    @property
    def members(self) -> np.ndarray:
        """`(n + number of nodes) x n` booleans: the units below each leaf and node."""
        members = np.zeros((self.n_units + len(self.nodes), self.n_units), dtype=bool)
        members[: self.n_units] = np.eye(self.n_units, dtype=bool)
        for number, children in enumerate(self.nodes, start=self.n_units):
            members[number] = members[list(children)].any(axis=0)
        return members


def flat_tree(n_units: int) -> Tree:
    """The tree in which all units are children of the root: its hierarchical values are Shapley values."""
    return Tree(n_units, (tuple(range(n_units)),))


def as_tree(groups: Groups | Tree, n_units: int) -> Tree:
    """A tree from nested lists or from a linkage matrix.

    Args:
        groups: Unit indices in lists nested to any depth, such as `[[0, 1], [2, 3, 4]]`; or an `(n-1) x 4` linkage
            matrix of SciPy or `shap`, of which the first two columns count.
        n_units: How many units the tree must hold.

    Raises:
        AttributionError: If the units are not exactly 0..n_units-1, each once, or a group is empty.
    """
    if isinstance(groups, Tree):
        tree = groups
    elif isinstance(groups, np.ndarray) and groups.ndim == 2:
        tree = _from_linkage(groups, n_units)
    else:
        tree = _from_nested(groups, n_units)
    found = sorted(child for children in tree.nodes for child in children if child < n_units)
    if tree.n_units != n_units or found != list(range(n_units)):
        raise AttributionError(f"Groups must hold each of the units 0..{n_units - 1} once, got {found}.")
    return tree


def _from_linkage(linkage: np.ndarray, n_units: int) -> Tree:
    pairs = linkage[:, :2].astype(int)
    clusters = np.arange(n_units, 2 * n_units - 1)
    if (
        linkage.shape != (n_units - 1, 4)
        or sorted(pairs.ravel()) != list(range(2 * n_units - 2))
        or (pairs >= clusters[:, None]).any()
    ):
        raise AttributionError(
            f"A linkage matrix of {n_units} units must be {n_units - 1} x 4 and merge every cluster once, "
            f"after it was made; got shape {linkage.shape} and merges {pairs.tolist()}."
        )
    return Tree(n_units, tuple((left, right) for left, right in pairs.tolist()) or ((0,),))


def _from_nested(groups: Groups, n_units: int) -> Tree:
    levels, nodes = [groups], []
    for group in levels:  # grows as nested groups are met: parents before children
        children = []
        for member in group if isinstance(group, list | tuple | np.ndarray) else ():
            if isinstance(member, int | np.integer) and 0 <= member < n_units:
                children.append(int(member))
            elif isinstance(member, list | tuple | np.ndarray):
                children.append(~len(levels))
                levels.append(member)
            else:
                raise AttributionError(f"Groups are nested lists of units 0..{n_units - 1}, got {member!r} in one.")
        if not children:
            raise AttributionError(f"Groups must be non-empty lists of units 0..{n_units - 1}, got {group!r}.")
        nodes.append(children)
    root = n_units + len(nodes) - 1
    return Tree(n_units, tuple(tuple(c if c >= 0 else root - ~c for c in node) for node in reversed(nodes)))


def count_tree_coalitions(tree: Tree, limit: int) -> int:
    """How many distinct coalitions the exact values need; `limit + 1` if more than `limit`, found out cheaply."""
    found: set[bytes] = set()
    if _largest_step(tree) > limit:
        return limit + 1
    for step in _steps(tree):
        found.update(row.tobytes() for row in step.coalitions)
        if len(found) > limit:
            return limit + 1
    return len(found)


def tree_coalitions(tree: Tree) -> np.ndarray:
    """`m x n` distinct coalitions that the exact values need: the empty one, the full one, then from the root down.

    Raises:
        AttributionError: If one node needs more than MAX_TREE_COALITIONS; see `count_tree_coalitions`.
    """
    if _largest_step(tree) > MAX_TREE_COALITIONS:
        raise AttributionError(f"The tree needs more than {MAX_TREE_COALITIONS} coalitions: too many to list.")
    ends = [np.zeros((1, tree.n_units), dtype=bool), np.ones((1, tree.n_units), dtype=bool)]
    rows = np.concatenate([*ends, *(step.coalitions for step in _steps(tree))])
    return np.stack(list({row.tobytes(): row for row in rows}.values()))


def exact_weights(tree: Tree, coalitions: np.ndarray) -> np.ndarray:
    """`n x m` weights W with hierarchical values `W @ v`; coalitions beyond the tree's own have weight 0.

    An empty array unless the `m x n` coalitions hold all that is needed.
    """
    if _largest_step(tree) > len(coalitions):
        return np.zeros((0, 0))
    places = {row.tobytes(): place for place, row in enumerate(coalitions)}
    weights = np.zeros((tree.n_units, len(coalitions)))
    for step in _steps(tree):
        found = [places.get(row.tobytes(), -1) for row in step.coalitions]
        if -1 in found:
            return np.zeros((0, 0))
        columns = np.array(found).reshape(len(step.contexts), -1)
        for position, child in enumerate(step.children):
            if child < tree.n_units:
                before, chances = step.before(position)
                np.add.at(weights[child], columns[:, before], -chances)
                np.add.at(weights[child], columns[:, before | 1 << position], chances)
    return weights


@dataclass(frozen=True)
class _Step:
    """One node with its `k` children, and the `c` coalitions of other units that may have joined before any of them."""

    children: tuple[int, ...]
    contexts: np.ndarray
    """`c x n` coalitions."""
    chances: np.ndarray
    """`c`, their probabilities."""
    coalitions: np.ndarray
    """`c 2^k x n`: each context with each subset of the children, whose number's binary digits are the children."""

    def before(self, position: int) -> tuple[np.ndarray, np.ndarray]:
        """What may have joined before one child.

        Returns:
            Numbers of the subsets of its siblings, and `c x 2^(k-1)` probabilities of each context with each of these.
        """
        numbers = np.arange(2 ** len(self.children))
        subsets = numbers[numbers >> position & 1 == 0]
        n_siblings = len(self.children) - 1
        by_size = np.array([1 / ((n_siblings + 1) * comb(n_siblings, size)) for size in range(n_siblings + 1)])
        return subsets, self.chances[:, None] * by_size[np.bitwise_count(subsets)]


def _largest_step(tree: Tree) -> int:
    """The largest number of coalitions at one node; counted, since a chain of 200 units has 2^200 contexts."""
    n_contexts = {tree.n_units + len(tree.nodes) - 1: 1}
    largest = 0
    for number, children in _from_root(tree):
        largest = max(largest, n_contexts[number] << len(children))
        n_contexts.update(dict.fromkeys(children, n_contexts[number] << (len(children) - 1)))
    return largest


def _steps(tree: Tree) -> Iterator[_Step]:
    """The nodes from the root down."""
    members = tree.members
    contexts = {tree.n_units + len(tree.nodes) - 1: (np.zeros((1, tree.n_units), dtype=bool), np.ones(1))}
    for number, children in _from_root(tree):
        outside, chances = contexts.pop(number)
        subsets = np.arange(2 ** len(children))[:, None] >> np.arange(len(children)) & 1
        joined = outside[:, None] | (subsets @ members[list(children)].astype(int) > 0)
        step = _Step(children, outside, chances, joined.reshape(-1, tree.n_units))
        yield step
        for position, child in enumerate(children):
            if child >= tree.n_units:
                before, joint = step.before(position)
                contexts[child] = joined[:, before].reshape(-1, tree.n_units), joint.ravel()


def _from_root(tree: Tree) -> list[tuple[int, tuple[int, ...]]]:
    """Numbers and children of the nodes, parents first."""
    return list(enumerate(tree.nodes, start=tree.n_units))[::-1]


@dataclass(frozen=True)
class HierarchicalValue:
    """The hierarchical value of a tree, as a functional of the surrogate's prior."""

    tree: Tree

    def cross_covariance(self, coalitions: np.ndarray, rhos: np.ndarray) -> np.ndarray:
        """`p x n x m` covariances with the values of `m x n` coalitions T.

        For unit i and the signs t of T, these are

        2 rho t_i prod_levels Integral dp prod_siblings [p prod_u (1 + rho t_u) + (1 - p) prod_u (1 - rho t_u)],

        where u runs over the sibling's units, which join before unit i with probability p, and do not with 1 - p.
        """
        signs = np.tile(2.0 * coalitions.T - 1.0, len(rhos))
        columns = np.repeat(rhos, len(coalitions))
        covariances = 2 * columns * signs * _product_over_levels(self.tree, signs, columns, _before)
        return covariances.reshape(self.tree.n_units, len(rhos), -1).transpose(1, 0, 2)

    def variance(self, rhos: np.ndarray) -> np.ndarray:
        """`p x n` variances: as above for two independent draws, which agree on a sibling or do not."""
        agreeing = np.ones((self.tree.n_units, len(rhos)))
        return (4 * rhos * _product_over_levels(self.tree, agreeing, rhos, _alike)).T


@lru_cache(maxsize=512)
def _before(n_children: int) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities p that a sibling joins before a child, and their weights: exact for polynomials of its siblings."""
    nodes, weights = np.polynomial.legendre.leggauss((n_children + 1) // 2)
    return (nodes + 1) / 2, weights / 2


@lru_cache(maxsize=512)
def _alike(n_children: int) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities that two independent draws agree on whether a sibling joins before, and their weights."""
    p, weights = _before(n_children)
    return (np.outer(p, p) + np.outer(1 - p, 1 - p)).ravel(), np.outer(weights, weights).ravel()


def _product_over_levels(
    tree: Tree, signs: np.ndarray, rhos: np.ndarray, mixture: Callable[[int], tuple[np.ndarray, np.ndarray]]
) -> np.ndarray:
    """`n x c`: per unit, the product over its levels of the expected product over its siblings there.

    Args:
        tree: Which units are siblings.
        signs: `n x c`, -1 or +1.
        rhos: `c` decays.
        mixture: Number of children -> probabilities q and their weights; a sibling contributes
            `q prod_u (1 + rho t_u) + (1 - q) prod_u (1 - rho t_u)` over its units u and their signs t.
    """
    n_units = tree.n_units
    plus, minus = ([*(1 + sign * rhos * signs)] for sign in (1, -1))
    for children in tree.nodes:
        for products in (plus, minus):
            products.append(np.prod([products[child] for child in children], axis=0))

    levels = [np.ones(signs.shape[1])] * len(plus)
    for number, children in _from_root(tree):
        q, weights = (column[:, None] for column in mixture(len(children)))
        # Units among the children come with one of two factors; counting them keeps flat trees cheap.
        units = [child for child in children if child < n_units]
        present = signs[units].clip(0).sum(axis=0)
        if_present, if_absent = 1 + (2 * q - 1) * rhos, 1 - (2 * q - 1) * rhos
        groups = {child: q * plus[child] + (1 - q) * minus[child] for child in children if child >= n_units}
        joint = weights * if_present**present * if_absent ** (len(units) - present)
        for factor in groups.values():
            joint = joint * factor
        without_present, without_absent = (joint / if_present).sum(axis=0), (joint / if_absent).sum(axis=0)
        for child in units:
            levels[child] = levels[number] * np.where(signs[child] > 0, without_present, without_absent)
        for child, factor in groups.items():
            levels[child] = levels[number] * (joint / factor).sum(axis=0)
    return np.stack(levels[:n_units])
