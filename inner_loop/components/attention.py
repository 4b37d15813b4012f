"""Attention-based credit: the reward model's own attention says how much of the score each token gets.

.. [Chan2024] Dense Reward for Free in Reinforcement Learning from Human Feedback (ABC). arXiv:2402.00782.
"""

import numpy as np

from inner_loop.components.spread import Spread


class Attention:
    """Pays r(x, y) in proportion to attention, [Chan2024]_; the rest of the score goes on the last token.

    Shares are positive, so every token gets the sign of the score.
    """

    method = "attention"

    def token_credit(self, spread: Spread) -> np.ndarray:
        """`t` credits in proportion to the attention on the tokens' texts."""
        credit = spread.credit
        if credit is None or not credit.offsets:
            return spread.on_last_token()
        tokens = credit.on_tokens(self.method, spread.token_ends)
        if spread.base_value == "drop":
            tokens *= 1 - credit.base_value / credit.full_value if credit.full_value else 0.0
        tokens[-1] += spread.total - tokens.sum()
        return tokens
