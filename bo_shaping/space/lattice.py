"""Points that cover the search space: a lattice over the simplex of mixing weights times levels of the parameters.

The corners of the simplex are on it, so that pure components are judged with every level of the parameters. Where a
lattice of affordable size is coarse, random points lie between its points.
"""

import itertools
import math

import numpy as np
from numpy.typing import NDArray
from scipy.stats import qmc

from bo_shaping.config import SearchSpaceConfig
from bo_shaping.config.searched_parameter import Value
from bo_shaping.config.tunable import of_field
from bo_shaping.config.weight_bounds import DIGITS, SLACK, free
from bo_shaping.space.arms import Arm, from_arm, to_arm
from bo_shaping.space.simplex import Weights, from_cube, vertices

N_POINTS = 2200
"""About how many points cover the whole space."""
FINEST = 20
"""Most lattice steps per weight: steps of 0.05."""
LEVELS = {0: 1, 1: 9, 2: 5}
"""Levels per range, by the number of training parameters; more than two get random values together. Of a parameter
with a few values, each is a level."""
N_RANDOM_LEVELS = 27
N_BETWEEN = 1000
"""Random points between those of a coarse lattice."""
N_SURFACE = 240
"""About how many points show the weights alone."""


def covering(space: SearchSpaceConfig) -> list[Arm]:
    """Arms all over the search space, corners included; always the same ones."""
    levels = parameter_levels(space)
    steps = lattice_steps(space, N_POINTS // len(levels))
    arms = [to_arm(weights, level, space) for weights in weight_lattice(space, steps) for level in levels]
    return arms + (random_arms(space, N_BETWEEN, seed=0) if steps < FINEST else [])


def weight_lattice(space: SearchSpaceConfig, steps: int) -> list[Weights]:
    """Mixing weights on a lattice with that many steps from corner to corner, within the bounds; and the corners."""
    bounds = space.weight_bounds
    movable = free(bounds)
    lows = {name: low for name, (low, _) in bounds.items()}
    rest = 1 - sum(lows.values())
    points = []
    for counts in itertools.product(range(steps + 1), repeat=max(len(movable) - 1, 0)):
        if (last := steps - sum(counts)) < 0:
            continue
        shares = dict(zip(movable, (*counts, last), strict=True)) if movable else {}
        point = {name: round(low + rest * shares.get(name, 0) / steps, DIGITS) for name, low in lows.items()}
        if all(weight <= bounds[name][1] + SLACK for name, weight in point.items()):
            points.append(point)
    on_lattice = {tuple(point.values()) for point in points}
    return points + [corner for corner in vertices(bounds) if tuple(corner.values()) not in on_lattice]


def lattice_steps(space: SearchSpaceConfig, n_points: int) -> int:
    """The finest lattice over the free weights of at most that many points; at least two steps."""
    n_free = max(len(free(space.weight_bounds)), 1)
    fitting = (steps for steps in range(FINEST, 2, -1) if math.comb(steps + n_free - 1, n_free - 1) <= n_points)
    return next(fitting, 2)


def surface_weights(space: SearchSpaceConfig) -> list[Weights]:
    """Mixing weights for pictures."""
    return weight_lattice(space, lattice_steps(space, N_SURFACE))


def parameter_levels(space: SearchSpaceConfig) -> list[dict[str, Value]]:
    """Values of the training parameters: a full grid of one or two, random ones of more."""
    parameters = space.parameters
    n_levels = LEVELS.get(len(parameters))
    if n_levels is None:
        shares = qmc.Sobol(len(parameters), rng=0).random(32)[:N_RANDOM_LEVELS]
        return [_at(space, row) for row in shares]
    grid = itertools.product(*(parameter.levels(n_levels) for parameter in parameters.values()))
    levels = [_of_fields(dict(zip(parameters, row, strict=True))) for row in grid]
    return [level for i, level in enumerate(levels) if level not in levels[:i]]


def random_arms(space: SearchSpaceConfig, n: int, seed: int) -> list[Arm]:
    """Quasi-random arms, uniform where only weights are held."""
    n_weights = max(len(free(space.weight_bounds)) - 1, 0)
    d = n_weights + len(space.parameters)
    shares = qmc.Sobol(d, rng=seed).random_base2(math.ceil(math.log2(n)))[:n]
    return [
        to_arm(from_cube(row[:n_weights].tolist(), space.weight_bounds), _at(space, row[n_weights:]), space)
        for row in shares
    ]


def _at(space: SearchSpaceConfig, shares: NDArray[np.float64]) -> dict[str, Value]:
    """Training parameters at shares between 0 and 1 of their axes."""
    named = zip(space.parameters.items(), shares, strict=True)
    return _of_fields({name: parameter.at(float(share)) for (name, parameter), share in named})


def _of_fields(values: dict[str, Value]) -> dict[str, Value]:
    """The values, whole where their fields are."""
    return {name: of_field(name, value) for name, value in values.items()}


def is_coarse(space: SearchSpaceConfig) -> bool:
    """Whether the lattice of `covering` has larger steps than one would like."""
    return lattice_steps(space, N_POINTS // len(parameter_levels(space))) < FINEST


def nearby(space: SearchSpaceConfig, arm: Arm, radius: float, n: int, rng: np.random.Generator) -> list[Arm]:
    """Arms around `arm`: weight is moved from one component to another, or everything towards a random arm.

    Weights move by at most `radius` and come in hundredths, which is as finely as they matter; parameters move by at
    most that share of the way; of a few values in an order, every other arm has that of a random arm.
    """
    weights, parameters = from_arm(arm, space)
    movable = free(space.weight_bounds)
    arms = []
    for i, other in enumerate(random_arms(space, n, seed=int(rng.integers(2**31)))):
        share = radius * rng.uniform()
        far_weights, far_parameters = from_arm(other, space)
        if i % 2 and len(movable) > 1:
            giver, taker = rng.choice(movable, size=2, replace=False)
            moved = weights | {giver: weights[giver] - share, taker: weights[taker] + min(share, weights[giver])}
        else:
            moved = {name: weight + share * (far_weights[name] - weight) for name, weight in weights.items()}
        moved = {name: max(round(weight, 2), 0.0) for name, weight in moved.items()}
        shifted = {
            name: parameter.near(parameters[name], far_parameters[name], share, rng)
            for name, parameter in space.parameters.items()
        }
        # Every fourth leaves the weights alone, every fourth the parameters.
        arms.append(to_arm(weights if i % 4 == 0 else moved, parameters if i % 4 == 3 else shifted, space))
    return arms
