"""Centring: take out of an advantage the noise of later tokens that a token's usual credit explains.

Let w[a] be a worth of every token a of the vocabulary, fixed before a response was sampled, and

    m_t = w[y_t] - sum_a pi(a | y_<t) w[a].

E[m_t | y_<t] = 0, since pi is known. With rewards r - m in place of r, and m_t added to the advantage,

    A'_t = GAE(r - m)_t + m_t = A_t - sum_{k >= 1} (gamma lambda)^k m_{t+k},

has the same expectation as A_t given the tokens up to t, whatever the credit, the critic and lambda: a trajectory-wise
control variate [Cheng2019]_, to which credit contributes w. Worths that explain nothing add noise, but no bias. Proof
and measurements: `experiments/benchmarks/gradient_bias.md`.

.. [Cheng2019] Trajectory-wise Control Variates for Variance Reduction in Policy Gradient Methods. arXiv:1908.03263.
"""

import torch
from torch import Tensor

from inner_loop.processes import total

PRIOR_COUNT = 10.0
"""Occurrences by which a token's mean reward is shrunk towards the mean of all tokens."""


class TokenWorth:
    """The mean reward of every token of the vocabulary in the rollouts so far, rare ones shrunk to the overall mean.

    A rollout must be taken in after it was centred: worths that know a response are not fixed before it, and bias.

    Args:
        vocabulary_size: `v`.
        device: Where the table lives.
    """

    def __init__(self, vocabulary_size: int, device: torch.device) -> None:
        # Columns: sum of rewards, number of occurrences. float64: counts and sums grow over a whole training.
        self.totals = torch.zeros(vocabulary_size, 2, dtype=torch.float64, device=device)

    @property
    def worths(self) -> Tensor:
        """`v` float32 worths, in score units; all zero before the first rollout."""
        sums, counts = self.totals.unbind(dim=1)
        mean = sums.sum() / counts.sum().clamp(min=1.0)
        return (mean + (sums - counts * mean) / (counts + PRIOR_COUNT)).float()

    def update(self, ids: Tensor, rewards: Tensor, mask: Tensor) -> None:
        """Take in `b x t` token ids of all processes, their rewards, and the mask, True on response tokens."""
        taken = torch.stack([rewards[mask].double(), torch.ones_like(rewards[mask], dtype=torch.float64)], dim=1)
        self.totals += total(torch.zeros_like(self.totals).index_add_(0, ids[mask], taken))


def centred_worth(worths: Tensor, ids: Tensor, expected: Tensor, mask: Tensor) -> Tensor:
    """`b x t` m_t: the worth of each response token less what it was expected to be; zero outside the mask.

    Args:
        worths: `v`.
        ids: `b x t` response tokens.
        expected: `b x t` expectation of the worth under the distribution that each token was drawn from.
        mask: `b x t`, True on response tokens.
    """
    return (worths[ids] - expected).masked_fill(~mask, 0.0)
