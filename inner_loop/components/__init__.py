"""Credit components: the ways to spread a sequence reward over tokens. The mixing weights mix these.

Adding one takes a file and a registration. The file holds an object with the two members of `Component`; this one
pays every token the same (it is `uniform.py`):

    class Uniform:
        method = None

        def token_credit(self, spread: Spread) -> np.ndarray:
            n_tokens = len(spread.token_ends)
            return np.full(n_tokens, spread.total / n_tokens)

The registration is a line of `COMPONENTS` below or, in a package of your own, an entry point:

    [project.entry-points."bo_shaping.components"]
    uniform = "my_package.uniform:Uniform"

A component that needs an explanation names the method of `inner_loop.attribution.explain` and finds the result in
`spread.credit`. What it returns must sum to `spread.total`; `ShapingFunction` checks that for every response.

This module imports neither torch nor transformers, so that configurations can be checked in an instant.
"""

import importlib
from functools import lru_cache
from importlib.metadata import entry_points

from inner_loop.components.spread import Component, Spread

__all__ = ["COMPONENTS", "SPARSE", "Component", "Spread", "load_component"]

SPARSE = "sparse"
"""The component that is the reward as PPO usually gets it, and every study's baseline."""

ENTRY_POINTS = "bo_shaping.components"
"""Group of the entry points by which other packages register components."""

COMPONENTS: dict[str, str] = {
    "shap": "inner_loop.components.explained:Shap",
    "lime": "inner_loop.components.explained:Lime",
    "owen": "inner_loop.components.explained:Owen",
    "prefix": "inner_loop.components.explained:Prefix",
    "attention": "inner_loop.components.attention:Attention",
    "uniform": "inner_loop.components.uniform:Uniform",
    SPARSE: "inner_loop.components.sparse:Sparse",
} | {point.name: point.value for point in entry_points(group=ENTRY_POINTS)}
"""Name in mixing weights -> `module:class` of the component."""


@lru_cache
def load_component(name: str) -> Component:
    """The component registered as `name`; its module is imported when it is first asked for."""
    module, _, attribute = COMPONENTS[name].partition(":")
    component: Component = getattr(importlib.import_module(module), attribute)()
    return component
