"""The first arms of a study: corners, the centre, a second look at the training parameters, and what fills gaps."""

import math
import random

import numpy as np
from numpy.typing import NDArray

from bo_shaping.config import ParameterRange, SearchSpaceConfig, StudyConfig
from bo_shaping.config.tunable import value_of
from bo_shaping.space.arms import corner, from_arm, to_arm
from bo_shaping.space.simplex import from_cube, mean_point, vertices
from inner_loop.spec import SPARSE

Arm = dict[str, float]

MIN_DESIGN = 6
"""Arms that a design may always have: the corners, the centre and the second looks of three components."""

N_CANDIDATES = 512
"""Sobol points from which interior arms are picked; a power of two keeps them balanced."""

INTERIOR = 0.75
"""How far from the centre towards the boundary interior arms may lie, of simplex and box. Without a limit, points that
keep their distance from each other would all lie on faces, next to the corners."""


def initial_design(config: StudyConfig) -> list[Arm]:
    """Arms to run before the Gaussian process takes over; the first is the baseline, sparse.

    In this order:

    1. The corners of the search space, sparse first, and its centre. They share the training parameters of
       `config.ppo`, so that they show what the weights do.
    2. What the parameters do: sparse with a longer horizon (the sparse reward needs a `gae_lambda` near 1, so it gets
       its upper bound), and the centre in the middle of the box, where dense credit pays.
    3. Where bounds cut the simplex: its other extreme points, the one furthest from all arms so far first.
    4. `design.interior` arms inside the simplex and the box: scrambled Sobol points, the one furthest from all so far
       first.

    A design takes at most half of the budget, or `MIN_DESIGN` arms if that is more: it is cut from its end, so corners
    are the last to go. A number of interior arms that the configuration names is not cut.
    """
    space = config.search_space
    usual = {name: _usual(config, name) for name in space.parameters}
    middle = {name: _middle(parameter) for name, parameter in space.parameters.items()}
    horizon = space.parameters.get("gae_lambda")
    long_horizon = usual | {"gae_lambda": horizon.bounds[1]} if horizon else middle
    extreme = vertices(space.weight_bounds)
    centre = mean_point(extreme, space.weight_bounds)
    names = [SPARSE, *(name for name in space.free_components if name != SPARSE)]
    arms = [to_arm(corner(space, name), usual, space) for name in names]
    arms.append(to_arm(centre, usual, space))
    arms.append(to_arm(corner(space, SPARSE), long_horizon, space))
    arms.append(to_arm(centre, middle, space))
    arms = [arm for i, arm in enumerate(arms) if arm not in arms[:i]]
    others = [arm for weights in extreme if (arm := to_arm(weights, usual, space)) not in arms]
    arms += _furthest_first(others, arms, space, len(others))

    limit = max(config.budget.trials // 2, MIN_DESIGN)
    n_interior = config.design.interior
    if n_interior is None:
        n_dimensions = len(space.parameters) + max(len(space.free_components) - 1, 0)
        n_interior = max(min(n_dimensions - 3, limit - len(arms)), 0)
    arms = arms[:limit]
    return arms + _furthest_first(_interior(config, centre) if n_interior else [], arms, space, n_interior)


def random_arm(config: StudyConfig, index: int) -> Arm:
    """A uniform arm for trial `index`, for when too few trials have completed to fit a Gaussian process."""
    rng = random.Random(f"{config.seed}/{index}")  # noqa: S311 - reproducible design, not security
    space = config.search_space
    shares = [rng.random() for _ in range(len(space.free_components) - 1)]
    parameters = {name: _at(parameter, rng.random()) for name, parameter in space.parameters.items()}
    return to_arm(from_cube(shares, space.weight_bounds), parameters, space)


def _interior(config: StudyConfig, centre: dict[str, float]) -> list[Arm]:
    """Sobol points of the region of the weights, drawn towards its centre, times the box."""
    from scipy.stats.qmc import Sobol

    space = config.search_space
    n_shares = max(len(space.free_components) - 1, 0)
    arms = []
    for point in Sobol(n_shares + len(space.parameters), rng=config.seed).random(N_CANDIDATES).tolist():
        weights = from_cube(point[:n_shares], space.weight_bounds)
        inner = {name: centre[name] + INTERIOR * (weight - centre[name]) for name, weight in weights.items()}
        shares = (0.5 + INTERIOR * (share - 0.5) for share in point[n_shares:])
        ranges = zip(space.parameters.items(), shares, strict=True)
        arms.append(to_arm(inner, {name: _at(parameter, share) for (name, parameter), share in ranges}, space))
    return arms


def _furthest_first(candidates: list[Arm], arms: list[Arm], space: SearchSpaceConfig, n: int) -> list[Arm]:
    """Up to `n` of the candidates, each the one whose nearest neighbour among `arms` and those before is furthest."""
    if not candidates:
        return []
    X = np.array([_coordinates(arm, space) for arm in candidates])
    taken = np.array([_coordinates(arm, space) for arm in arms])
    distance = np.linalg.norm(X[:, None] - taken[None], axis=2).min(axis=1)
    chosen = []
    for _ in range(min(n, len(candidates))):
        chosen.append(best := int(distance.argmax()))
        distance = np.minimum(distance, np.linalg.norm(X - X[best], axis=1))
        distance[best] = -1.0
    return [candidates[i] for i in chosen]


def _coordinates(arm: Arm, space: SearchSpaceConfig) -> NDArray[np.float64]:
    """The arm as a point: its weights, and its parameters on a scale on which their range has length 1."""
    weights, parameters = from_arm(arm, space)
    box = []
    for name, parameter in space.parameters.items():
        scale = math.log if parameter.log else float
        lower, upper = (scale(bound) for bound in parameter.bounds)
        box.append((scale(parameters[name]) - lower) / (upper - lower))
    return np.array([*weights.values(), *box])


def _usual(config: StudyConfig, name: str) -> float:
    """The value of a parameter in the configuration, within its range; where it is off, the middle of the range."""
    value, parameter = value_of(name, config.ppo, config.attribution), config.search_space.parameters[name]
    lower, upper = parameter.bounds
    return _middle(parameter) if value is None else min(max(float(value), lower), upper)


def _middle(parameter: ParameterRange) -> float:
    lower, upper = parameter.bounds
    return math.sqrt(lower * upper) if parameter.log else (lower + upper) / 2


def _at(parameter: ParameterRange, share: float) -> float:
    """The value at a share of the way through the range."""
    lower, upper = parameter.bounds
    return lower * (upper / lower) ** share if parameter.log else lower + share * (upper - lower)
