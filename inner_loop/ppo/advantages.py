"""Advantage estimation over response tokens: b responses, t tokens (right-padded), rewards in score units.

.. [Schulman2016] High-Dimensional Continuous Control Using Generalized Advantage Estimation. arXiv:1506.02438.
"""

import torch
from torch import Tensor

MIN_STD = 1e-8
"""Whitening divides by at least this much: equal advantages become zero, not infinite."""


def estimate_advantages(
    values: Tensor, rewards: Tensor, response_mask: Tensor, *, gamma: float = 1.0, gae_lambda: float = 0.95
) -> tuple[Tensor, Tensor]:
    """Advantages and returns, eq. (16) of [Schulman2016]_, with no bootstrap after the last response token.

    Args:
        values: `b x t` critic estimates at sampling time.
        rewards: `b x t` token rewards, KL penalty already subtracted.
        response_mask: `b x t`, True on response tokens; everything else is read as zero.
        gamma: Discount per token.
        gae_lambda: Decay of the weight on later temporal differences.

    Returns:
        `(advantages, returns)`, both `b x t`, zero where the mask is False. Not whitened: see `whiten`.

    Raises:
        ValueError: If the three shapes differ.
    """
    if not values.shape == rewards.shape == response_mask.shape:
        raise ValueError(f"Shapes differ: {values.shape=}, {rewards.shape=}, {response_mask.shape=}.")
    values, rewards = values.masked_fill(~response_mask, 0.0), rewards.masked_fill(~response_mask, 0.0)
    next_values = torch.cat([values[:, 1:], torch.zeros_like(values[:, :1])], dim=1)
    deltas = rewards + gamma * next_values - values
    advantages = torch.zeros_like(values)
    carried = torch.zeros_like(values[:, 0])
    for token in reversed(range(values.shape[1])):  # the recursion itself; each turn covers the whole batch
        carried = deltas[:, token] + gamma * gae_lambda * carried
        advantages[:, token] = carried
    advantages = advantages.masked_fill(~response_mask, 0.0)
    return advantages, advantages + values


def masked_mean(x: Tensor, mask: Tensor) -> Tensor:
    """Mean of `x` where `mask` is True, over all of `b x t`; zero if there is nothing."""
    return x.masked_fill(~mask, 0.0).sum() / mask.sum().clamp(min=1)


def whiten(x: Tensor, mask: Tensor) -> Tensor:
    """`x` with mean 0 and population variance 1 over the True entries of `mask`; zero elsewhere."""
    mean = masked_mean(x, mask)
    std = masked_mean((x - mean) ** 2, mask).sqrt()
    return ((x - mean) / std.clamp(min=MIN_STD)).masked_fill(~mask, 0.0)
