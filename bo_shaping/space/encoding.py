"""Arms as points of the unit cube: what distances and our own Gaussian process are about.

Weights are taken as they are; training parameters are scaled to [0, 1] over their range, in the logarithm where the
range is logarithmic. Of a few values in an order the first is 0 and the last 1. Weights that are held are left out.
"""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from bo_shaping.config import ParameterRange, SearchSpaceConfig
from bo_shaping.config.searched_parameter import SearchedParameter, Value
from bo_shaping.config.weight_bounds import free
from bo_shaping.space.arms import PREFIX

MIN_DISTANCE = 0.01
"""Arms that differ by no more than this in any coordinate count as one: an arm that was run is not proposed again with
the same seed, since it would only repeat an equal result."""


Axes = Mapping[str, SearchedParameter]
"""By Ax parameter: which values are 0 and 1, and what lies between."""

WEIGHT = ParameterRange(bounds=(0.0, 1.0))
"""The axis of a mixing weight, whatever its bounds."""


def axes_of(space: SearchSpaceConfig) -> dict[str, SearchedParameter]:
    """The coordinates of a study's arms."""
    return {PREFIX + name: WEIGHT for name in free(space.weight_bounds)} | space.parameters


def encode(axes: Axes, arms: Sequence[Mapping[str, Value]]) -> NDArray[np.float64]:
    """`n x d` points of `n` Ax arms.

    Raises:
        ValueError: If a word is none of the values of its parameter.
    """
    columns = [axis.shares_of([arm[name] for arm in arms]) for name, axis in axes.items()]
    return np.array(columns, dtype=float).T.reshape(len(arms), len(columns))
