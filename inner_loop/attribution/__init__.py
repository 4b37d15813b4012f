"""Credit: which parts of a response earned its score. One table of reward-model evaluations serves every method."""

from inner_loop.attribution.credit import Credit
from inner_loop.attribution.explain import METHODS, explain
from inner_loop.attribution.games import GameAttribution, attribute_game
from inner_loop.attribution.library import to_shap

__all__ = ["METHODS", "Credit", "GameAttribution", "attribute_game", "explain", "to_shap"]
