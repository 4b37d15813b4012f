"""Entropy credit: tokens at which the policy was undecided get more.

.. [Tan2025] GTPO and GRPO-S: Token and Sequence-Level Reward Shaping with Policy Entropy. arXiv:2508.04349.
"""

import numpy as np

from inner_loop.components.spread import Spread
from inner_loop.errors import AttributionError


class Entropy:
    """Pays each token the share of the score that it has of the response's entropy at sampling, as in [Tan2025]_.

    Shares are positive, so every token gets the sign of the score. It explains nothing of the reward model.
    """

    method = None

    def token_credit(self, spread: Spread) -> np.ndarray:
        """`t` credits; on the last token if the policy was never undecided.

        Raises:
            AttributionError: If nobody said what the policy's entropy was.
        """
        if spread.token_facts is None:
            raise AttributionError(
                "Entropy credit needs to know how undecided the policy was at every token: pass token_facts."
            )
        entropy = spread.token_facts.entropy
        if not entropy.sum() > 0:
            return spread.on_last_token()
        return spread.total * entropy / entropy.sum()
