"""Clipped losses of PPO over response tokens: b responses, t tokens (right-padded).

.. [Schulman2017] Proximal Policy Optimization Algorithms. arXiv:1707.06347.
"""

import torch
from torch import Tensor

from inner_loop.ppo.advantages import masked_mean


def policy_loss(
    logprobs: Tensor, old_logprobs: Tensor, advantages: Tensor, response_mask: Tensor, *, clip_range: float
) -> tuple[Tensor, Tensor]:
    """Clipped surrogate, eq. (7) of [Schulman2017]_, as a loss: the mean over response tokens, to be minimised.

    Args:
        logprobs: `b x t` under the policy now.
        old_logprobs: `b x t` under the policy that sampled.
        advantages: `b x t`.
        response_mask: `b x t`, True on response tokens.
        clip_range: Ratios beyond 1 +- this gain nothing more.

    Returns:
        `(loss, clip_fraction)`, scalars; the fraction of tokens whose clipped term is the one in force.
    """
    ratio = (logprobs - old_logprobs).masked_fill(~response_mask, 0.0).exp()
    unclipped = -advantages * ratio
    clipped = -advantages * ratio.clamp(1 - clip_range, 1 + clip_range)
    loss = masked_mean(torch.maximum(unclipped, clipped), response_mask)
    return loss, masked_mean((clipped > unclipped).float(), response_mask)


def value_loss(
    values: Tensor, old_values: Tensor, returns: Tensor, response_mask: Tensor, *, clip_range: float | None
) -> Tensor:
    """Half the squared error of the critic, the mean over response tokens.

    Args:
        values: `b x t` now.
        old_values: `b x t` at sampling time.
        returns: `b x t` that the values should have been.
        response_mask: `b x t`, True on response tokens.
        clip_range: Each value is also clipped to this range around its old one, and the larger error counts; None for
            the plain squared error.
    """
    error = (values - returns) ** 2
    if clip_range is not None:
        clipped = old_values + (values - old_values).clamp(-clip_range, clip_range)
        error = torch.maximum(error, (clipped - returns) ** 2)
    return 0.5 * masked_mean(error, response_mask)
