"""Some of many, evenly spread over their order."""

import numpy as np
from numpy.typing import NDArray

MOST_FOR_HYPER = 200
"""Observations that hyper-parameters are drawn or fitted by; f is conditioned on all. More hardly change them, and a
step of the sampler or optimiser costs their cube."""


def evenly(n: int, n_most: int) -> NDArray[np.intp]:
    """At most `n_most` of `n` rows, the first and the last among them; all if they are no more."""
    return np.arange(n) if n <= n_most else np.linspace(0, n - 1, n_most).round().astype(np.intp)
