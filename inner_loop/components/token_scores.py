"""Components that pay each token what a model of its own says of it (`inner_loop.attribution.token_models`)."""

import numpy as np

from inner_loop.attribution.credit import place_on_tokens
from inner_loop.components.spread import Spread


class _TokenScores:
    """What the model says of its tokens, on the policy's; the gap to the total is spread evenly over the tokens.

    Added, never multiplied: the sum of what it says can be near zero. The base value is part of that gap, since the
    model knows nothing of it.
    """

    method: str

    def token_credit(self, spread: Spread) -> np.ndarray:
        pieces = None if spread.credit is None else spread.credit.pieces.get(self.method)
        if pieces is None or not len(pieces.ends):
            return spread.on_last_token()
        tokens = place_on_tokens(pieces.ends, spread.sharpened(pieces.values), spread.token_ends)
        return tokens + (spread.total - tokens.sum()) / len(tokens)


class Implicit(_TokenScores):
    """The log-ratio of two language models: the implicit reward of DPO and PRIME."""

    method = "implicit"


class TokenModel(_TokenScores):
    """A token classifier or process reward model."""

    method = "token_model"
