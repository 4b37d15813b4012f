"""Token rewards of a rollout, `b x t`, from what the shaping function gives response by response."""

from collections.abc import Sequence

import torch
from torch import Tensor

from inner_loop.ppo.advantages import is_last_token
from inner_loop.shaping import ShapedResponse


def pad_rewards(shaped: Sequence[ShapedResponse], response_mask: Tensor) -> Tensor:
    """`b x t` float32 token rewards, zero outside the response."""
    rewards = torch.zeros(response_mask.shape, device=response_mask.device)
    rewards[response_mask] = torch.cat([torch.from_numpy(response.rewards) for response in shaped]).to(rewards)
    return rewards


def charge_cut_responses(rewards: Tensor, response_mask: Tensor, finished: Tensor, charges: Tensor | float) -> Tensor:
    """`rewards` with `charges` (`b`, or one number) taken off the last token of every response that did not end.

    Args:
        rewards: `b x t`.
        response_mask: `b x t`, True on response tokens.
        finished: `b`, True where the response ended by itself.
        charges: In score units.
    """
    is_cut_here = is_last_token(response_mask) & ~finished.unsqueeze(1)
    charges = torch.as_tensor(charges, dtype=rewards.dtype, device=rewards.device)
    return torch.where(is_cut_here, rewards - charges.reshape(-1, 1), rewards)
