"""The first arms of a study: the corners of the simplex, its centre, and a second look at the training parameters."""

import math
import random

from bo_shaping.config import ParameterRange, SearchSpaceConfig, StudyConfig
from bo_shaping.search_space import to_arm
from inner_loop.components import SPARSE


def initial_design(config: StudyConfig) -> list[dict[str, float]]:
    """Arms to run before the Gaussian process takes over; the first is the baseline, pure sparse.

    All corners and the centre share the training parameters of `config.ppo`, so that they show what the weights do.
    Two more arms show what the parameters do: sparse with a longer horizon (the sparse reward needs a `gae_lambda` near
    1, so it gets its upper bound), and the centre in the middle of the box, where dense credit pays.
    """
    space = config.search_space
    usual = {
        name: min(max(float(getattr(config.ppo, name)), parameter.bounds[0]), parameter.bounds[1])
        for name, parameter in space.parameters.items()
    }
    middle = {name: _middle(parameter) for name, parameter in space.parameters.items()}
    horizon = space.parameters.get("gae_lambda")
    long_horizon = usual | {"gae_lambda": horizon.bounds[1]} if horizon else middle
    corners = sorted(space.components, key=lambda name: name != SPARSE)
    centre = dict.fromkeys(space.components, 1.0)
    arms = [to_arm(_corner(space, name), usual) for name in corners]
    arms.append(to_arm(centre, usual))
    arms.append(to_arm(_corner(space, SPARSE), long_horizon))
    arms.append(to_arm(centre, middle))
    return [arm for i, arm in enumerate(arms) if arm not in arms[:i]]


def random_arm(config: StudyConfig, index: int) -> dict[str, float]:
    """A uniform arm for trial `index`, for when too few trials have completed to fit a Gaussian process."""
    rng = random.Random(f"{config.seed}/{index}")  # noqa: S311 - reproducible design, not security
    weights = {name: rng.expovariate(1.0) for name in config.search_space.components}
    parameters = {}
    for name, parameter in config.search_space.parameters.items():
        lower, upper = parameter.bounds
        share = rng.random()
        parameters[name] = lower * (upper / lower) ** share if parameter.log else lower + share * (upper - lower)
    return to_arm(weights, parameters)


def _corner(space: SearchSpaceConfig, component: str) -> dict[str, float]:
    return {name: float(name == component) for name in space.components}


def _middle(parameter: ParameterRange) -> float:
    lower, upper = parameter.bounds
    return math.sqrt(lower * upper) if parameter.log else (lower + upper) / 2
