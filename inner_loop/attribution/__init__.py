"""Credit: which parts of a response earned its score. One table of reward-model evaluations serves every method."""

from inner_loop.attribution.explain import Credit, explain

__all__ = ["Credit", "explain"]
