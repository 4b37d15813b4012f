"""Can a policy be decoded token by token? Tried on a few tokens, before a training relies on it.

Sampling fills a cache with left-padded prompts and then feeds one token at a time. Models with attention in every layer
give the same as in one whole pass. Recurrent and hybrid models carry a state instead, into which padding leaks, or have
no such cache at all.
"""

from typing import Any

import torch
from torch import Tensor

from inner_loop.errors import TaskError

AGREEMENT = 1e-3
"""How far hidden states may be apart, as a share of the largest: float32 rounding is some 1e-6."""


@torch.no_grad()
def check_stepwise(model: Any) -> None:
    """Raise `TaskError` unless decoding token by token gives what one whole pass gives, with left padding too."""
    try:
        apart = _difference(model.base_model)
    except torch.OutOfMemoryError:
        raise
    except (AttributeError, IndexError, KeyError, NotImplementedError, RuntimeError, TypeError, ValueError):
        apart = None
    # Also where the difference is not a number.
    if apart is None or not apart <= AGREEMENT:
        raise TaskError(
            f"task.policy: {type(model).__name__} cannot be decoded token by token with left-padded prompts, which "
            "sampling needs (recurrent and state-space layers cannot); choose a model with attention in every layer."
        )


def _difference(trunk: Any) -> float:
    """Largest difference at the last of four tokens, as a share of the largest hidden state."""
    ids = torch.arange(4, device=trunk.device).repeat(2, 1)
    mask = torch.ones_like(ids)
    mask[1, 0] = 0
    positions = (mask.cumsum(dim=1) - 1).clamp(min=0)
    begun = trunk(input_ids=ids[:, :3], attention_mask=mask[:, :3], position_ids=positions[:, :3], use_cache=True)
    stepwise = trunk(
        input_ids=ids[:, 3:],
        attention_mask=mask,
        position_ids=positions[:, 3:],
        past_key_values=begun.past_key_values,
        use_cache=True,
    ).last_hidden_state[:, -1]
    whole = torch.stack([_last(trunk, ids[0]), _last(trunk, ids[1, 1:])])
    return float((stepwise - whole).abs().max() / whole.abs().max())


def _last(trunk: Any, ids: Tensor) -> Tensor:
    """The hidden state at the last token of one unpadded sequence."""
    ids = ids.unsqueeze(0)
    positions = torch.arange(ids.shape[1], device=ids.device).unsqueeze(0)
    output = trunk(input_ids=ids, attention_mask=torch.ones_like(ids), position_ids=positions, use_cache=False)
    hidden: Tensor = output.last_hidden_state
    return hidden[0, -1]
