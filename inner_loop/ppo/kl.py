"""Estimates of KL(policy || reference) from sampled tokens, in nats per token.

| kind | per token, with r = ref / pi | mean | in the reward |
|---|---|---|---|
| k1 | -log r | unbiased, high variance, may be negative | its expected policy gradient is that of the KL |
| k2 | (log r)^2 / 2 | biased when the policies are far apart | biased |
| k3 | r - 1 - log r | unbiased, low variance, never negative | biased: the gradient is that of another divergence |

.. [Schulman2020] Approximating KL Divergence. http://joschu.net/blog/kl-approx.html
"""

from typing import Literal

import torch
from torch import Tensor

from inner_loop.errors import DivergedError

KLEstimator = Literal["k1", "k2", "k3"]


def kl_estimate(logprobs: Tensor, ref_logprobs: Tensor, kind: KLEstimator) -> Tensor:
    """`b x t` estimates of one kind, see the table above, from `b x t` log-probabilities of sampled tokens."""
    log_ratio = ref_logprobs - logprobs
    if kind == "k1":
        return -log_ratio
    if kind == "k2":
        return 0.5 * log_ratio**2
    return torch.expm1(log_ratio) - log_ratio


def check_kl(kl: float, max_kl: float) -> None:
    """Raise `DivergedError` if a mean KL, in nats per response, is over `max_kl` or not a number."""
    if not kl <= max_kl:
        raise DivergedError(f"The KL to the reference reached {kl:.4g} nats, over ppo.max_kl = {max_kl:g}.")
