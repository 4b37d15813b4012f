"""The first arms of a study: corners, the centre, looks at the training parameters, and what fills gaps."""

import random
from collections.abc import Iterable, Mapping

import numpy as np
from numpy.typing import NDArray

from bo_shaping.config import SearchSpaceConfig, StudyConfig
from bo_shaping.config.searched_parameter import SearchedParameter, Value
from bo_shaping.config.tunable import value_of
from bo_shaping.space.arms import Arm, corner, from_arm, to_arm
from bo_shaping.space.simplex import Weights, from_cube, mean_point, vertices
from bo_shaping.surrogate.older_surfaces import older_best
from inner_loop.spec import SPARSE

MIN_DESIGN = 6
"""Arms that a design may always have: the corners, the centre and the second looks of three components."""

FEW = 2
"""Training parameters up to which the first arms share them. With more, a look or two at them is not enough."""

N_CANDIDATES = 512
"""Sobol points from which interior arms are picked; a power of two keeps them balanced."""

INTERIOR = 0.75
"""How far from the centre towards the boundary interior arms may lie, of simplex and box. Without a limit, points that
keep their distance from each other would all lie on faces, next to the corners."""


def initial_design(config: StudyConfig) -> list[Arm]:
    """Arms to run before the Gaussian process takes over; the first is the baseline, sparse.

    In this order:

    1. The corners of the search space, sparse first, and its centre. With `FEW` training parameters they share those of
       the configuration, so that they show what the weights do. With more, only sparse has them and the centre is in
       the middle of the box; the other corners are spread over the box, so that they show what the parameters do too.
    2. Sparse with a longer horizon: the sparse reward needs a `gae_lambda` near 1, so it gets its upper bound. With
       `FEW` parameters also the centre in the middle of the box, where dense credit pays.
    3. Where bounds cut the simplex: its other extreme points, the one furthest from all arms so far first.
    4. `design.interior` arms inside the simplex and the box: scrambled Sobol points, the one furthest from all so far
       first.

    Where older tasks are known, their best arms take the place of all but sparse and the centre.

    A design takes at most half of the budget, or `MIN_DESIGN` arms if that is more: it is cut from its end, so corners
    are the last to go. A number of interior arms that the configuration names is not cut.
    """
    if config.related:
        return _design_with_older_tasks(config)
    space = config.search_space
    extreme = vertices(space.weight_bounds)
    centre = mean_point(extreme, space.weight_bounds)
    usual = {name: _usual(config, name) for name in space.parameters}
    corners = [corner(space, name) for name in (SPARSE, *(c for c in space.free_components if c != SPARSE))]
    arms = _corners_and_looks(config, corners, centre, usual)
    arms = [arm for i, arm in enumerate(arms) if arm not in arms[:i]]
    known = [to_arm(weights, usual, space) for weights in (*corners, centre)]
    others = [arm for weights in extreme if (arm := to_arm(weights, usual, space)) not in known]
    arms += _furthest_first(others, arms, space, len(others))

    limit = max(config.budget.trials // 2, MIN_DESIGN)
    n_interior = config.design.interior
    if n_interior is None:
        n_dimensions = len(space.parameters) + max(len(space.free_components) - 1, 0)
        wanted = n_dimensions - (3 if len(space.parameters) <= FEW else len(arms))
        n_interior = max(min(wanted, limit - len(arms)), 0)
    arms = arms[:limit]
    return arms + _furthest_first(_interior(config, centre) if n_interior else [], arms, space, n_interior)


def _design_with_older_tasks(config: StudyConfig) -> list[Arm]:
    """Sparse, what was best in each older task, and the centre: whether the surfaces are alike shows at once."""
    space = config.search_space
    usual = {name: _usual(config, name) for name in space.parameters}
    middle = {name: parameter.at(0.5) for name, parameter in space.parameters.items()}
    centre = to_arm(mean_point(vertices(space.weight_bounds), space.weight_bounds), middle, space)
    arms = [to_arm(corner(space, SPARSE), usual, space), *older_best(config), centre]
    return [arm for i, arm in enumerate(arms) if arm not in arms[:i]]


def _corners_and_looks(
    config: StudyConfig, corners: list[Weights], centre: Weights, usual: dict[str, Value]
) -> list[Arm]:
    """Corners, the first of them sparse, the centre, and looks at the training parameters."""
    space = config.search_space
    middle = {name: parameter.at(0.5) for name, parameter in space.parameters.items()}
    horizon = space.parameters.get("gae_lambda")
    long_horizon = usual | {"gae_lambda": horizon.at(1.0)} if horizon else middle
    if len(space.parameters) <= FEW:
        looks = [*((weights, usual) for weights in (*corners, centre)), (corners[0], long_horizon), (centre, middle)]
    else:
        spread = zip(corners[1:], _spread(config, len(corners) - 1), strict=True)
        looks = [(corners[0], usual), *spread, (centre, middle), (corners[0], long_horizon)]
    return [to_arm(weights, parameters, space) for weights, parameters in looks]


def random_arm(config: StudyConfig, index: int) -> Arm:
    """A uniform arm for trial `index`, for when too few trials have completed to fit a Gaussian process."""
    rng = random.Random(f"{config.seed}/{index}")  # noqa: S311 - reproducible design, not security
    space = config.search_space
    shares = [rng.random() for _ in range(len(space.free_components) - 1)]
    parameters = {name: parameter.at(rng.random()) for name, parameter in space.parameters.items()}
    return to_arm(from_cube(shares, space.weight_bounds), parameters, space)


def _spread(config: StudyConfig, n: int) -> list[dict[str, Value]]:
    """`n` points all over the box, `INTERIOR` of the way from its middle to its edge."""
    from scipy.stats.qmc import Sobol

    box = config.search_space.parameters
    points = Sobol(len(box), rng=config.seed).random_base2(max(n - 1, 1).bit_length())[:n].tolist()
    return [_at(box, (0.5 + INTERIOR * (share - 0.5) for share in row)) for row in points]


def _interior(config: StudyConfig, centre: Weights) -> list[Arm]:
    """Sobol points of the region of the weights, drawn towards its centre, times the box."""
    from scipy.stats.qmc import Sobol

    space = config.search_space
    n_shares = max(len(space.free_components) - 1, 0)
    arms = []
    for point in Sobol(n_shares + len(space.parameters), rng=config.seed).random(N_CANDIDATES).tolist():
        weights = from_cube(point[:n_shares], space.weight_bounds)
        inner = {name: centre[name] + INTERIOR * (weight - centre[name]) for name, weight in weights.items()}
        shares = (0.5 + INTERIOR * (share - 0.5) for share in point[n_shares:])
        arms.append(to_arm(inner, _at(space.parameters, shares), space))
    return arms


def _at(box: Mapping[str, SearchedParameter], shares: Iterable[float]) -> dict[str, Value]:
    """The point of the box at a share of each axis."""
    return {name: parameter.at(share) for (name, parameter), share in zip(box.items(), shares, strict=True)}


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
    box = (parameter.share_of(parameters[name]) for name, parameter in space.parameters.items())
    return np.array([*weights.values(), *box])


def _usual(config: StudyConfig, name: str) -> Value:
    """The value of a parameter in the configuration, or the nearest one searched; where there is none, the middle."""
    value, parameter = value_of(name, config.ppo, config.attribution), config.search_space.parameters[name]
    if value is None or parameter.refusal(usual := parameter.within(value)) is not None:
        return parameter.at(0.5)
    return usual
