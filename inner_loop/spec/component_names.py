"""The names of the credit components, where each is implemented, and the weights that mix them."""

import math
from collections.abc import Iterable
from importlib.metadata import entry_points

from inner_loop.errors import MixingWeightsError
from inner_loop.io.schema import nearest

SPARSE = "sparse"
"""The component that is the reward as PPO usually gets it, and every study's baseline."""

ENTRY_POINTS = "bo_shaping.components"
"""Group of the entry points by which other packages register components."""

COMPONENTS: dict[str, str] = {
    "shap": "inner_loop.components.explained:Shap",
    "lime": "inner_loop.components.explained:Lime",
    "owen": "inner_loop.components.explained:Owen",
    "prefix": "inner_loop.components.explained:Prefix",
    "leave_one_out": "inner_loop.components.explained:LeaveOneOut",
    "solo": "inner_loop.components.explained:Solo",
    "gradient": "inner_loop.components.explained:Gradient",
    "attention": "inner_loop.components.attention:Attention",
    "implicit": "inner_loop.components.token_scores:Implicit",
    "token_model": "inner_loop.components.token_scores:TokenModel",
    "entropy": "inner_loop.components.entropy:Entropy",
    "uniform": "inner_loop.components.uniform:Uniform",
    SPARSE: "inner_loop.components.sparse:Sparse",
} | {point.name: point.value for point in entry_points(group=ENTRY_POINTS)}
"""Name in mixing weights -> `module:class` of the component."""

SUM_ATOL = 1e-6
"""How far from 1 the sum of mixing weights may be."""


def check_mixing_weights(weights: dict[str, float]) -> None:
    """Raise `MixingWeightsError` unless `weights` is a point of the simplex over known components."""
    check_components(weights)
    total = sum(weights.values())
    off_simplex = any(not math.isfinite(w) or w < 0 for w in weights.values()) or abs(total - 1) > SUM_ATOL
    if not weights or off_simplex:
        raise MixingWeightsError(
            f"Mixing weights must be >= 0 and sum to 1 (atol={SUM_ATOL}), got {weights}, sum={total:.6g}."
        )


def check_components(names: Iterable[str]) -> None:
    """Raise `MixingWeightsError` if one of the names is not a registered component."""
    for name in names:
        if name not in COMPONENTS:
            raise MixingWeightsError(
                f"Unknown credit component {name!r}, did you mean {nearest(name, COMPONENTS)!r}? "
                f"The components are {', '.join(COMPONENTS)}."
            )
