"""Low-rank adapters through the `peft` package (`pip install "bo-shaping[lora]"`).

.. [Hu2021] LoRA: Low-Rank Adaptation of Large Language Models. arXiv:2106.09685.
"""

import copy
from collections.abc import Sequence
from typing import Any

import torch
from torch import nn
from transformers.pytorch_utils import Conv1D

from inner_loop.errors import TaskError

INIT_SEED = 0
"""Adapters start from the same random numbers in every trial, as loaded weights do."""

ALPHA_PER_RANK = 2
"""Usual ratio of alpha to rank: the update is scaled by it, so that the learning rate does not depend on the rank."""


def add_adapters(policy: nn.Module, rank: int, blocks: Sequence[nn.Module]) -> Any:
    """Freeze `policy` and put adapters on the linear layers of `blocks`, in place; only they require gradients.

    Args:
        policy: A causal language model.
        rank: Of the adapters.
        blocks: Decoder blocks of the policy.

    Returns:
        The `peft.PeftModel` around the policy, which can switch the adapters off.

    Raises:
        TaskError: If `peft` is not installed.
    """
    try:
        from peft import LoraConfig, get_peft_model
    except ImportError as error:
        raise TaskError('ppo.lora_rank needs the peft package: pip install "bo-shaping[lora]".') from error
    inside = {module for block in blocks for module in block.modules() if isinstance(module, nn.Linear | Conv1D)}
    names = [name for name, module in policy.named_modules() if module in inside]
    config = LoraConfig(r=rank, lora_alpha=ALPHA_PER_RANK * rank, target_modules=names, task_type="CAUSAL_LM")
    with torch.random.fork_rng():
        torch.manual_seed(INIT_SEED)
        return get_peft_model(policy, config).eval()


def merged(adapted: Any) -> Any:
    """A copy of the policy with its adapters added into its weights: an ordinary transformers model again."""
    return copy.deepcopy(adapted).merge_and_unload()
