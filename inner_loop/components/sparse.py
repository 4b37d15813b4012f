"""The sparse terminal reward: the whole score on the last token, whether that ends the text or was cut there."""

import numpy as np

from inner_loop.components.spread import Spread


class Sparse:
    """The reward as PPO usually gets it."""

    method = None

    def token_credit(self, spread: Spread) -> np.ndarray:
        """`t` credits, all but the last zero."""
        return spread.on_last_token()
