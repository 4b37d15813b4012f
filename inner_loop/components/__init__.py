"""Credit components: the ways to spread a sequence reward over tokens. The mixing weights mix these.

Adding one takes a file and a registration. The file holds an object with the two members of `Component`; this one
pays every token the same (it is `uniform.py`):

    class Uniform:
        method = None

        def token_credit(self, spread: Spread) -> np.ndarray:
            n_tokens = len(spread.token_ends)
            return np.full(n_tokens, spread.total / n_tokens)

The registration is a line of `COMPONENTS` in `inner_loop.spec.component_names` or, in a package of your own, an entry
point:

    [project.entry-points."bo_shaping.components"]
    uniform = "my_package.uniform:Uniform"

A component that needs an explanation names the method of `inner_loop.attribution.explain` and finds the result in
`spread.credit`; what the policy knew of its tokens is in `spread.token_facts`. What it returns must sum to
`spread.total`; `ShapingFunction` checks that for every response.

This module imports neither torch nor transformers, so that configurations can be checked in an instant.
"""

import importlib
from functools import lru_cache

from inner_loop.components.spread import Component, Spread, TokenFacts
from inner_loop.spec.component_names import COMPONENTS, SPARSE

__all__ = ["COMPONENTS", "SPARSE", "Component", "Spread", "TokenFacts", "load_component"]


@lru_cache
def load_component(name: str) -> Component:
    """The component registered as `name`; its module is imported when it is first asked for."""
    module, _, attribute = COMPONENTS[name].partition(":")
    component: Component = getattr(importlib.import_module(module), attribute)()
    return component
