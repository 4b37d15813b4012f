"""Token sequences of a rollout, and where in a model's output their response tokens are predicted."""

from typing import NamedTuple

import torch
from torch import Tensor


class TokenBatch(NamedTuple):
    """Prompts (left-padded, p tokens) followed by responses (right-padded, t tokens) of b sequences."""

    prompt_ids: Tensor
    """`b x p`."""
    prompt_mask: Tensor
    """`b x p`, True on prompt tokens. Masks come from lengths, never from token ids: pad may equal eos."""
    response_ids: Tensor
    """`b x t`."""
    response_mask: Tensor
    """`b x t`, True on response tokens, the end-of-sequence token included: it is an action."""
    kept: Tensor | None = None
    """`b x t x v`, True on tokens that could be drawn (top-k, top-p), which share the probability; None: all."""

    def rows(self, index: Tensor) -> "TokenBatch":
        """The sequences at `index`."""
        ids, mask, kept = self.response_ids[index], self.response_mask[index], self.kept
        return TokenBatch(
            self.prompt_ids[index], self.prompt_mask[index], ids, mask, None if kept is None else kept[index]
        )


class PreparedBatch(NamedTuple):
    """Token sequences with everything about them that no optimizer step changes."""

    batch: TokenBatch
    lower: Tensor | None
    """`b x (p + t - 1) x d` output of the frozen lower blocks; None where all blocks are trained."""

    def rows(self, index: Tensor) -> "PreparedBatch":
        """The sequences at `index`."""
        return PreparedBatch(self.batch.rows(index), None if self.lower is None else self.lower[index])


def model_inputs(batch: TokenBatch) -> dict[str, Tensor]:
    """Keyword arguments for a transformers trunk, `b x (p + t - 1)`: the last response token predicts nothing."""
    input_ids = torch.cat([batch.prompt_ids, batch.response_ids], dim=1)[:, :-1]
    mask = torch.cat([batch.prompt_mask, batch.response_mask], dim=1)[:, :-1]
    positions = (mask.cumsum(dim=1) - 1).clamp(min=0)
    return {"input_ids": input_ids, "attention_mask": mask.long(), "position_ids": positions}


def at_response_tokens(hidden: Tensor, batch: TokenBatch) -> Tensor:
    """`n x d` of `b x (p + t - 1) x d`: the state each of the n response tokens was predicted from, padding left out.

    The copy is contiguous on purpose: the matrix product of a strided slice can be many times slower.
    """
    rows, columns = batch.response_mask.nonzero(as_tuple=True)
    # Token i is predicted one position earlier.
    flat = rows * hidden.shape[1] + columns + batch.prompt_ids.shape[1] - 1
    return hidden.flatten(0, 1).index_select(0, flat)


def to_rows(values: Tensor, response_mask: Tensor) -> Tensor:
    """`b x t` of `n` values of response tokens; zero where there is no token."""
    return torch.zeros_like(response_mask, dtype=values.dtype).masked_scatter(response_mask, values)
