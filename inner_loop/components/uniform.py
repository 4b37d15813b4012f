"""Uniform credit: every token gets the same. What any informed credit should beat."""

import numpy as np

from inner_loop.components.spread import Spread


class Uniform:
    """Needs no explanation and knows nothing."""

    method = None

    def token_credit(self, spread: Spread) -> np.ndarray:
        """`t` equal credits."""
        n_tokens = len(spread.token_ends)
        return np.full(n_tokens, spread.total / n_tokens)
