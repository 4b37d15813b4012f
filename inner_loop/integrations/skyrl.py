"""Token rewards in SkyRL: what a generator returns, with one reward per token.

Contract tested, not trained: written against SkyRL 0.3.0 (`skyrl.train.generators.base.GeneratorOutput`), where
`rewards` is a list of scores or a list of lists, one number per response token. The trainer passes lists on as they
are. Of its estimators GAE and REINFORCE++ read them token by token; the others add them up. `dense_grpo` can be
registered with `AdvantageEstimatorRegistry`.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from inner_loop.integrations.core import numbered, token_advantages
from inner_loop.integrations.token_rewards import Shaping, on_written_tokens, shape_tokens

KEEPING = ("gae", "reinforce++", "dense_grpo")
"""Estimators in which it matters which token was paid."""

SUMMING = ("grpo", "rloo", "maxrl")
"""Estimators that add a response's rewards up first."""


def pay_tokens(
    output: Mapping[str, Any],
    prompts: Sequence[str],
    *,
    shaping: Shaping,
    tokenizer: Any,
    estimator: str,
    keep_scores: bool = False,
) -> dict[str, Any]:
    """A generator's output whose rewards are paid token by token; call it at the end of `generate`.

    Args:
        output: SkyRL's `GeneratorOutput` of `b` responses: reads `prompt_token_ids`, `response_ids`, `loss_masks` and,
            with `keep_scores`, `rewards`.
        prompts: `b` prompts as a reward model reads them.
        shaping: What spreads scores over tokens.
        tokenizer: The policy's.
        estimator: `trainer.algorithm.advantage_estimator`.
        keep_scores: Spread the output's own rewards (of an environment, say); without it the score is the reward
            model's. Rewards that are lists already count with their sum.

    Returns:
        A copy of the output with `rewards` that are lists of one number per response token and sum to the score.
        What tokens earned that the policy did not write is paid to the last token before them that it did.

    Raises:
        ValueError: If the estimator would add the rewards up, or steps of a trajectory are rows of their own.
    """
    check_estimator(estimator)
    if output.get("is_last_step") is not None:
        raise ValueError(
            "generator.step_wise_trajectories: SkyRL spreads one advantage over the steps of a trajectory, so token "
            "rewards would change nothing; set it to false."
        )
    scores = [_total(reward) for reward in output["rewards"]] if keep_scores else None
    shaped = shape_tokens(shaping, tokenizer, prompts, output["prompt_token_ids"], output["response_ids"], scores)
    rewards = [
        on_written_tokens(torch.from_numpy(response.rewards)[None], torch.tensor([mask]).bool())[0].tolist()
        for response, mask in zip(shaped, output["loss_masks"], strict=True)
    ]
    return {**output, "rewards": rewards}


def check_estimator(name: str) -> None:
    """Refuse an advantage estimator that sums the credit away; one that SkyRL does not ship is taken at its word.

    Raises:
        ValueError: If the estimator would pay every token of a response the same; it names those that do not.
    """
    if str(name) in SUMMING:
        raise ValueError(
            f"trainer.algorithm.advantage_estimator: {name} adds the rewards of a response up, so token rewards would "
            f"change nothing; choose one of {', '.join(KEEPING)}."
        )


def dense_grpo(
    token_level_rewards: Tensor,
    response_mask: Tensor,
    index: Any,
    gamma: float = 1.0,
    lambd: float = 1.0,
    grpo_norm_by_std: bool = True,
    **_: Any,
) -> tuple[Tensor, Tensor]:
    """GRPO whose advantages differ from token to token, for `AdvantageEstimatorRegistry.register("dense_grpo", ...)`.

    SkyRL pads responses on the left; they are compared from their first token on.

    Args:
        token_level_rewards: `b x t`; their sums are the outcomes that baselines come from.
        response_mask: `b x t`, 1 on the tokens of the response.
        index: `b` objects, equal for the responses to one prompt (SkyRL's `uids`).
        gamma: Discount per token.
        lambd: Decay of the weight on later tokens, as in GAE.
        grpo_norm_by_std: False for Dr. GRPO.

    Returns:
        `(advantages, returns)`, both `b x t`, zero where the mask is 0; returns are the undiscounted rewards-to-go.
    """
    # Row by row, the place of the first token, then those after it, then the padding.
    shift = response_mask.bool().int().argmax(dim=1, keepdim=True)
    places = torch.arange(response_mask.shape[1], device=response_mask.device)
    mask = response_mask.bool().gather(1, (places + shift) % len(places))
    rewards = token_level_rewards.float().gather(1, (places + shift) % len(places))
    advantages = token_advantages(
        rewards,
        mask,
        numbered(index).to(rewards.device),
        kind="grpo" if grpo_norm_by_std else "dr_grpo",
        outcomes=rewards.sum(dim=1),
        gamma=gamma,
        gae_lambda=lambd,
    )
    to_go = (rewards * mask).flip(1).cumsum(dim=1).flip(1) * mask
    back = (places - shift) % len(places)
    return advantages.gather(1, back), to_go.gather(1, back)


def _total(reward: float | Sequence[float]) -> float:
    return float(sum(reward)) if isinstance(reward, Sequence) else float(reward)
