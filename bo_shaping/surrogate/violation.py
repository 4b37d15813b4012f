"""How far points are from keeping the limits of a study."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from bo_shaping.config.limits import Constraint

Array = NDArray[np.float64]


def violation(limits: list[Constraint], values: Mapping[str, Array], baseline: Mapping[str, Array | float]) -> Array:
    """How much the points break the limits together: 0 where all are kept.

    Each excess counts in units of its bound, so that metrics of different size can be added.
    """
    total: Array = np.zeros(1)
    for limit in limits:
        bound = limit.bound * baseline[limit.metric] if limit.relative else limit.bound
        excess = values[limit.metric] - bound if limit.sign == "<=" else bound - values[limit.metric]
        total = total + np.maximum(excess / np.maximum(np.abs(bound), 1e-9), 0.0)
    return total
