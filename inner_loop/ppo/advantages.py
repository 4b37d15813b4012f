"""Advantage estimation over response tokens: b responses, t tokens (right-padded), rewards in score units.

.. [Schulman2016] High-Dimensional Continuous Control Using Generalized Advantage Estimation. arXiv:1506.02438.
.. [Yuan2025] What's Behind PPO's Collapse in Long-CoT? Value Optimization Holds the Secret. arXiv:2503.01491.
.. [Pardo2018] Time Limits in Reinforcement Learning. arXiv:1712.00378.
"""

import torch
from torch import Tensor

from inner_loop.processes import total

MIN_STD = 1e-8
"""Whitening divides by at least this much: equal advantages become zero, not infinite."""


def estimate_advantages(
    values: Tensor,
    rewards: Tensor,
    response_mask: Tensor,
    *,
    gamma: float = 1.0,
    gae_lambda: float = 0.95,
    critic_lambda: float | None = None,
    bootstrap_values: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """Advantages and returns, eq. (16) of [Schulman2016]_.

    Args:
        values: `b x t` critic estimates at sampling time.
        rewards: `b x t` token rewards, KL penalty already subtracted.
        response_mask: `b x t`, True on response tokens; everything else is read as zero.
        gamma: Discount per token.
        gae_lambda: Decay of the weight on later temporal differences.
        critic_lambda: The same for the returns alone ([Yuan2025]_, section 4.2); None takes `gae_lambda`.
        bootstrap_values: `b`, the value of what would have come after the last response token ([Pardo2018]_, eq. 6):
            the critic's estimate there if the response was cut, zero if it ended. None is all zero.

    Returns:
        `(advantages, returns)`, both `b x t`, zero where the mask is False. Not whitened: see `whiten`.

    Raises:
        ValueError: If the shapes differ.
    """
    if not values.shape == rewards.shape == response_mask.shape:
        shapes = ", ".join(str(tuple(tensor.shape)) for tensor in (values, rewards, response_mask))
        raise ValueError(f"values, rewards and response_mask must have one shape, got {shapes}.")
    values, rewards = values.masked_fill(~response_mask, 0.0), rewards.masked_fill(~response_mask, 0.0)
    next_values = torch.cat([values[:, 1:], torch.zeros_like(values[:, :1])], dim=1)
    if bootstrap_values is not None:
        next_values = torch.where(is_last_token(response_mask), bootstrap_values.unsqueeze(1), next_values)
    deltas = rewards + gamma * next_values - values
    advantages = discounted_sums(deltas, gamma * gae_lambda).masked_fill(~response_mask, 0.0)
    if critic_lambda is None or critic_lambda == gae_lambda:
        return advantages, advantages + values
    return advantages, discounted_sums(deltas, gamma * critic_lambda).masked_fill(~response_mask, 0.0) + values


def discounted_sums(x: Tensor, decay: float) -> Tensor:
    """`y_t = sum_{l >= 0} decay^l x_{t+l}` along the tokens of `b x t`."""
    sums = torch.zeros_like(x)
    carried = torch.zeros_like(x[:, 0])
    for token in reversed(range(x.shape[1])):  # the recursion itself; each turn covers the whole batch
        carried = x[:, token] + decay * carried
        sums[:, token] = carried
    return sums


def is_last_token(response_mask: Tensor) -> Tensor:
    """`b x t`, True on the last token of each response."""
    has_next = torch.cat([response_mask[:, 1:], torch.zeros_like(response_mask[:, :1])], dim=1)
    return response_mask & ~has_next


def masked_mean(x: Tensor, mask: Tensor) -> Tensor:
    """Mean of `x` where `mask` is True, over all of `b x t`; zero if there is nothing."""
    return x.masked_fill(~mask, 0.0).sum() / mask.sum().clamp(min=1)


def masked_moments(x: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and population variance of `x` where `mask` is True, over all of `b x t` in all processes."""
    count = total(mask.sum()).clamp(min=1)
    mean = total(x.masked_fill(~mask, 0.0).sum()) / count
    return mean, total(((x - mean) ** 2).masked_fill(~mask, 0.0).sum()) / count


def whiten(x: Tensor, mask: Tensor, *, shift: bool = True) -> Tensor:
    """`x` with population variance 1, and mean 0, over the True entries of `mask` in all processes; zero elsewhere.

    With `shift=False` the mean stays what it was.
    """
    mean, variance = masked_moments(x, mask)
    std = variance.sqrt()
    whitened = (x - mean) / std.clamp(min=MIN_STD)
    return (whitened if shift else whitened + mean).masked_fill(~mask, 0.0)


def explained_variance(values: Tensor, returns: Tensor, mask: Tensor) -> float | None:
    """`1 - var(returns - values) / var(returns)` over the True entries of `mask`; None if the returns are all equal."""
    spread = masked_moments(returns, mask)[1].item()
    return 1.0 - masked_moments(returns - values, mask)[1].item() / spread if spread > 0 else None
