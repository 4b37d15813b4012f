"""Estimates of KL(policy || reference) from sampled tokens, in nats per token.

.. [Schulman2020] Approximating KL Divergence. http://joschu.net/blog/kl-approx.html
"""

import torch
from torch import Tensor


def kl_k1(logprobs: Tensor, ref_logprobs: Tensor) -> Tensor:
    """`log pi - log ref` per token, `b x t`: unbiased, and negative for some tokens ([Schulman2020]_, k1).

    This is the one that belongs in the reward: its expected gradient is that of the divergence.
    """
    return logprobs - ref_logprobs


def kl_k3(logprobs: Tensor, ref_logprobs: Tensor) -> Tensor:
    """`ref / pi - 1 - log(ref / pi)` per token, `b x t`: unbiased, never negative, of low variance (k3)."""
    log_ratio = ref_logprobs - logprobs
    return torch.expm1(log_ratio) - log_ratio
