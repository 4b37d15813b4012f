"""Arms as points of the unit cube: what distances and our own Gaussian process are about.

Weights are taken as they are; training parameters are scaled to [0, 1] over their range, in the logarithm where the
range is logarithmic. Weights that are held are left out.
"""

import math
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from bo_shaping.config import SearchSpaceConfig
from bo_shaping.config.weight_bounds import free
from bo_shaping.space.arms import PREFIX

MIN_DISTANCE = 0.01
"""Arms that differ by no more than this in any coordinate count as one: an arm that was run is not proposed again with
the same seed, since it would only repeat an equal result."""


Axes = Mapping[str, tuple[float, float, bool]]
"""By Ax parameter: which values are 0 and 1, and whether the scale between them is logarithmic."""


def axes_of(space: SearchSpaceConfig) -> dict[str, tuple[float, float, bool]]:
    """The coordinates of a study's arms."""
    axes = {PREFIX + name: (0.0, 1.0, False) for name in free(space.weight_bounds)}
    return axes | {name: (*parameter.bounds, parameter.log) for name, parameter in space.parameters.items()}


def encode(axes: Axes, arms: Sequence[Mapping[str, float]]) -> NDArray[np.float64]:
    """`n x d` points of `n` Ax arms."""
    columns = []
    for name, (zero, one, log) in axes.items():
        scale = math.log if log else float
        lower, upper = scale(zero), scale(one)
        columns.append([(scale(arm[name]) - lower) / (upper - lower) for arm in arms])
    return np.array(columns, dtype=float).T.reshape(len(arms), len(columns))
