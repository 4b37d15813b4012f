"""Rewards of the very tokens that a trainer generated: token ids in, one reward per token out.

Trainers hand over ids, and tokenising their text again need not give the same tokens. So each token's place in the
text is read off the ids; credit is computed on the text, by a reward model with any tokenizer, and lands on the ids.
"""

from collections.abc import Sequence
from typing import Any, Protocol

import torch
from torch import Tensor

from inner_loop.integrations.sampled_tokens import decode_sampled
from inner_loop.shaping import ShapedResponse


class Shaping(Protocol):
    """What spreads scores over tokens: a `ShapingFunction`, or anything else that is called like one."""

    def __call__(
        self,
        prompts: Sequence[str],
        responses: Sequence[str],
        scores: Sequence[float] | None = None,
        *,
        token_ends: Sequence[Sequence[int]] | None = None,
    ) -> list[ShapedResponse]:
        """As `ShapingFunction.__call__`."""


def shape_tokens(
    shaping: Shaping,
    tokenizer: Any,
    prompts: Sequence[str],
    prompt_ids: Sequence[Sequence[int]],
    response_ids: Sequence[Sequence[int]],
    scores: Sequence[float] | None = None,
) -> list[ShapedResponse]:
    """The rewards of every token of `b` responses; each sums to the response's score.

    Args:
        shaping: What spreads scores over tokens.
        tokenizer: The policy's, from transformers; the reward model may have another one.
        prompts: `b` prompts as a reward model reads them; a `Conversation` keeps its messages.
        prompt_ids: `b` prompts as the policy reads them, at least one token each.
        response_ids: `b` responses without padding, at least one token each; an end of sequence is a token.
        scores: `b` sequence rewards; None takes the reward model's.

    Returns:
        Per response what the shaping function says, with as many `rewards` as it has tokens.

    Raises:
        ValueError: If a prompt or response has no tokens, or what the shaping function raises.
    """
    for index, (before, ids) in enumerate(zip(prompt_ids, response_ids, strict=True)):
        if not len(before) or not len(ids):
            raise ValueError(f"Prompt and response {index} need at least one token each, and have none.")
    texts, ends = decode_sampled(tokenizer, response_ids, [own[-1] for own in prompt_ids])
    return shaping(prompts, texts, scores, token_ends=ends)


def on_written_tokens(rewards: Tensor, written: Tensor) -> Tensor:
    """Rewards of the tokens that the policy did not write, moved to the last token before them that it did write.

    What the answer of a tool earned belongs to the call. Rewards before the first written token go to that token;
    those of a row without one stay where they are, so sums never change.

    Args:
        rewards: `b x t`.
        written: `b x t`, True on the tokens that the policy wrote.

    Returns:
        `b x t` rewards of equal sums per row.
    """
    places = torch.arange(rewards.shape[1], device=rewards.device).expand_as(rewards)
    latest = torch.where(written, places, -1).cummax(dim=1).values
    first = written.int().argmax(dim=1, keepdim=True)
    target = torch.where(latest < 0, first, latest)
    target = torch.where(written.any(dim=1, keepdim=True), target, places)
    return torch.zeros_like(rewards).scatter_add(1, target, rewards)
