"""Token advantages in slime: `--custom-advantage-function-path inner_loop.integrations.slime.dense_advantages`.

Contract tested, not trained: written against `compute_advantages_and_returns` of the main branch of 2026 (after pull
request 1856; PyPI has no slime of theirs). It calls `function(args, rollout_data)` on every rank of the last pipeline
stage, after the KL, and reads `rollout_data["advantages"]` and `rollout_data["returns"]`, a tensor per response each.

A rank holds responses of a group that others lie on other ranks of, so the baseline cannot be taken here: slime has
taken it already, over whole groups. `rollout_data["rewards"]` are the advantages A_i of responses, and a token's is
A_i w_{i,t}, with the weights of mean one of `inner_loop.integrations.core.advantage_weights`.
"""

from argparse import Namespace
from functools import lru_cache
from typing import Any

import torch
from torch.nn.utils.rnn import pad_sequence

from inner_loop.integrations.core import advantage_weights
from inner_loop.integrations.token_rewards import Shaping, on_written_tokens, shape_tokens
from inner_loop.shaping import ShapingFunction

GROUP_BASED = ("grpo", "gspo", "cispo", "reinforce_plus_plus_baseline")
"""Values of `--advantage-estimator` for which slime turns rewards into advantages of responses before the hook."""


def dense_advantages(args: Namespace, rollout_data: dict[str, Any]) -> None:
    """Set `advantages` and `returns` of a rank's responses, one tensor of `t` numbers per response.

    slime's `--custom-config-path` names a YAML file with `shaping`: a folder that `ShapingFunction.save` wrote. The
    tokenizer is that of `--hf-checkpoint`. With shaping and tokenizer at hand, call `set_dense_advantages`.

    Args:
        args: slime's arguments.
        rollout_data: Reads `tokens` (prompt and response), `response_lengths`, `loss_masks` and `rewards`.

    Raises:
        ValueError: If slime would hand over raw scores or parts of responses, or `shaping` is missing.
    """
    if not getattr(args, "shaping", None):
        raise ValueError("shaping: name a file of ShapingFunction.save in the YAML file of --custom-config-path.")
    check_arguments(args)
    shaping, tokenizer = _loaded(args.shaping, args.hf_checkpoint)
    set_dense_advantages(rollout_data, shaping, tokenizer)


def check_arguments(args: Namespace) -> None:
    """Refuse arguments of slime with which its rewards are no advantages of whole responses.

    Raises:
        ValueError: It names the argument.
    """
    if args.advantage_estimator not in GROUP_BASED:
        raise ValueError(
            f"--advantage-estimator {args.advantage_estimator}: rewards are raw scores then; choose one of "
            f"{', '.join(GROUP_BASED)}."
        )
    if not getattr(args, "rewards_normalization", True):
        raise ValueError("--disable-rewards-normalization: rewards are raw scores then; leave it out.")
    if getattr(args, "context_parallel_size", 1) > 1:
        raise ValueError("--context-parallel-size: a rank sees parts of responses only; set it to 1.")


def set_dense_advantages(rollout_data: dict[str, Any], shaping: Shaping, tokenizer: Any) -> None:
    """As `dense_advantages`, with what it would load."""
    tokens = [torch.as_tensor(ids).tolist() for ids in rollout_data["tokens"]]
    starts = [len(ids) - int(n) for ids, n in zip(tokens, rollout_data["response_lengths"], strict=True)]
    prompt_ids = [ids[:start] for ids, start in zip(tokens, starts, strict=True)]
    response_ids = [ids[start:] for ids, start in zip(tokens, starts, strict=True)]
    prompts = tokenizer.batch_decode(prompt_ids, skip_special_tokens=True)
    shaped = shape_tokens(shaping, tokenizer, prompts, prompt_ids, response_ids)
    masks = [torch.as_tensor(mask) for mask in rollout_data["loss_masks"]]
    device = masks[0].device
    credit = pad_sequence([torch.from_numpy(response.rewards) for response in shaped], batch_first=True).to(device)
    written = pad_sequence(masks, batch_first=True).bool()
    outcomes = torch.tensor([float(reward) for reward in rollout_data["rewards"]], device=device)
    weights = advantage_weights(on_written_tokens(credit, written), written, outcomes)
    advantages = outcomes.unsqueeze(1) * weights
    rows = [row[: len(ids)].clone() for row, ids in zip(advantages, response_ids, strict=True)]
    rollout_data["advantages"], rollout_data["returns"] = rows, [row.clone() for row in rows]


@lru_cache(maxsize=1)
def _loaded(path: str, checkpoint: str) -> tuple[ShapingFunction, Any]:
    from transformers import AutoTokenizer

    return ShapingFunction.load(path), AutoTokenizer.from_pretrained(checkpoint)
