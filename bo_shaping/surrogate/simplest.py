"""What could be left out: components that cost less than is known, and training parameters that hardly matter.

The idea of reverting what does not matter is Daulton et al.'s (BONSAI, arXiv:2602.07144); on a simplex of a few
components every face can be tried.
"""

import itertools
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from bo_shaping.space.arms import from_arm
from bo_shaping.space.encoding import axes_of, encode
from bo_shaping.space.lattice import random_arms
from bo_shaping.surrogate.joint_posterior import Posterior
from bo_shaping.surrogate.outcomes import REWARD
from bo_shaping.surrogate.recommendation import Cost, Simplest

MIXTURE = "mixture"
"""All weights together, among what matters."""
N_PAIRS = 1024
"""Pairs of arms that share a coordinate, for what matters."""
MIN_EFFECT = 1e-9
"""Variance of the expected reward below which nothing matters."""


def simplest(posterior: Posterior, best: int) -> Simplest | None:
    """The mixture of fewest components that is not known to be worse than the recommended one; None if that is it.

    A mixture is not known to be worse if its expected loss is within one standard deviation of that loss.
    """
    faces = _faces(posterior)
    size = len(_present(posterior)[best].nonzero()[0])
    per_draw = posterior.best_per_draw()
    for n in range(1, size):
        found = []
        for face, points in faces.items():
            if len(face) == n:
                point = posterior.best_of(points)
                cost = _cost(posterior, best, point)
                if posterior.allowed[point] and cost.mean <= cost.sd:
                    found.append((cost.mean, point, cost, float(np.isin(per_draw, points).mean())))
        if found:
            _, point, cost, share = min(found, key=lambda row: row[0])
            weights, parameters = from_arm(posterior.arms[point], posterior.space)
            return Simplest(weights, parameters, cost, share)
    return None


def prob_of_face(posterior: Posterior, best: int) -> float:
    """P(the best of all points has no component that the point `best` lacks)."""
    present = _present(posterior)
    face = np.flatnonzero(~present[:, ~present[best]].any(axis=1))
    return float(np.isin(posterior.best_per_draw(), face).mean())


def costs_of_leaving_out(posterior: Posterior, best: int) -> dict[str, Cost]:
    """By component that can be left out: what the best mixture without it is expected to lose, against `best`."""
    present = _present(posterior)
    costs = {}
    for i, name in enumerate(posterior.space.components):
        without = np.flatnonzero(~present[:, i])
        if len(without) and present[:, i].any():
            costs[name] = _cost(posterior, best, posterior.best_of(without))
    return costs


def what_matters(posterior: Posterior, seed: int = 0) -> dict[str, float]:
    """Total Sobol indices of the expected reward: of the mixture as a whole, and of each training parameter.

    The share of the variance over the search space that would be left if all but this were known (Saltelli et al. 2010,
    table 2, eq. f); interactions count for all that take part, so the sum may pass 1. Empty if nothing differs.
    """
    space = posterior.space
    one, other = (random_arms(space, N_PAIRS, seed=seed + i) for i in range(2))
    # Scrambled Sobol points of one index lie alike in all scrambles; in another order they are independent.
    other = [other[i] for i in np.random.default_rng(seed).permutation(N_PAIRS)]
    process, axes = posterior.processes[REWARD], axes_of(space)
    at_one = process.mean(encode(axes, one))
    variance = np.concatenate([at_one, process.mean(encode(axes, other))]).var()
    if variance < MIN_EFFECT:
        return {}
    groups: dict[str, list[str]] = {MIXTURE: [name for name in one[0] if name not in space.parameters]}
    groups |= {name: [name] for name in space.parameters}
    matters = {}
    for group, names in groups.items():
        mixed = [arm | {name: replacement[name] for name in names} for arm, replacement in zip(one, other, strict=True)]
        matters[group] = float(((at_one - process.mean(encode(axes, mixed))) ** 2).mean() / 2 / variance)
    return matters


def _present(posterior: Posterior) -> NDArray[np.bool_]:
    """`g x k`: which components have more than their least weight at each point."""
    bounds = posterior.space.weight_bounds
    least = np.array([bounds[name][0] for name in posterior.space.components])
    return np.asarray(posterior.weights > least + 1e-9)


def _faces(posterior: Posterior) -> dict[Sequence[int], NDArray[np.intp]]:
    """By components that may be there: the points at which no other one is."""
    present = _present(posterior)
    k = present.shape[1]
    faces: dict[Sequence[int], NDArray[np.intp]] = {}
    for n in range(1, k):
        for face in itertools.combinations(range(k), n):
            others = [i for i in range(k) if i not in face]
            points = np.flatnonzero(~present[:, others].any(axis=1))
            if len(points):
                faces[face] = points
    return faces


def _cost(posterior: Posterior, best: int, point: int) -> Cost:
    rewards = posterior.draws[REWARD]
    return Cost(
        mean=float(posterior.mean[best] - posterior.mean[point]),
        sd=float((rewards[:, best] - rewards[:, point]).std()),
    )
