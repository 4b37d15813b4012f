"""Attention-based credit: the reward model's own attention says how much of the score each token gets.

.. [Chan2024] Dense Reward for Free in Reinforcement Learning from Human Feedback (ABC). arXiv:2402.00782.
"""

import numpy as np

from inner_loop.attribution.credit import place_on_tokens
from inner_loop.components.spread import Spread


class Attention:
    """Pays r(x, y) in proportion to attention, [Chan2024]_; the rest of the score goes on the last token.

    Shares are positive, so every token gets the sign of the score. A dropped base value is taken off what is paid.
    """

    method = "attention"

    def token_credit(self, spread: Spread) -> np.ndarray:
        """`t` credits in proportion to the attention on the tokens' texts."""
        credit = spread.credit
        if credit is None or not credit.offsets:
            return spread.on_last_token()
        shares = credit.pieces[self.method]
        paid = credit.full_value - (credit.base_value if spread.base_value == "drop" else 0.0)
        tokens = place_on_tokens(shares.ends, paid * shares.values, spread.token_ends)
        tokens[-1] += spread.total - tokens.sum()
        return tokens
