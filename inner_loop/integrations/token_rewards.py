"""Rewards of the very tokens that a trainer generated: token ids in, one reward per token out.

Trainers hand over ids, and tokenising their text again need not give the same tokens. So each token's place in the
text is read off the ids; credit is computed on the text, by a reward model with any tokenizer, and lands on the ids.
"""

from collections.abc import Sequence
from typing import Any, Protocol

import torch
from torch import Tensor

from inner_loop.shaping import ShapedResponse

CHUNK = 64
"""Tokens decoded from one starting point; the time per response is then linear in its length."""

CONTEXT = 8
"""Tokens before a chunk that are decoded with it: more than the four bytes that one character may take."""

UNFINISHED = "\ufffd"
"""What tokenizers write for a character of which only some bytes are there."""


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
    read = [
        _decoded(tokenizer, int(ids[-1]), [*map(int, own)]) for ids, own in zip(prompt_ids, response_ids, strict=True)
    ]
    return shaping(prompts, [text for text, _ in read], scores, token_ends=[ends for _, ends in read])


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


def _decoded(tokenizer: Any, before: int, ids: list[int]) -> tuple[str, list[int]]:
    """A response's text, and where in it each of its tokens ends; the token before it decides about a leading space.

    Special tokens, the end of sequence among them, have no text. A token that leaves a character unfinished ends
    before it.
    """
    sequence = [before, *ids]
    anchor, whole = _texts(tokenizer, [sequence[:1], sequence])
    text, ends = whole[len(anchor) :], list[int]()
    for start in range(0, len(ids), CHUNK):
        chunk = sequence[max(0, start + 1 - CONTEXT) : start + 1 + CHUNK]
        n_before = min(start + 1, CONTEXT)
        lengths = _visible_lengths(tokenizer, chunk, n_before)
        ends += [(ends[start - 1] if start else 0) + length - lengths[0] for length in lengths[1:]]
    if ends[-1] != len(text.rstrip(UNFINISHED)):
        # This tokenizer looks further back than CONTEXT.
        lengths = _visible_lengths(tokenizer, sequence, 1)
        ends = [length - lengths[0] for length in lengths[1:]]
    highest = torch.tensor(ends).clamp(0, len(text)).cummax(dim=0).values
    return text, [*highest[:-1].tolist(), len(text)]


def _visible_lengths(tokenizer: Any, sequence: list[int], n_before: int) -> list[int]:
    """Characters that are complete after `n_before` tokens, after one more, and so on to the end."""
    beginnings = [sequence[:end] for end in range(n_before, len(sequence) + 1)]
    return [len(text.rstrip(UNFINISHED)) for text in _texts(tokenizer, beginnings)]


def _texts(tokenizer: Any, sequences: list[list[int]]) -> list[str]:
    texts: list[str] = tokenizer.batch_decode(sequences, skip_special_tokens=True, clean_up_tokenization_spaces=False)
    return texts
