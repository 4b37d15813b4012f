"""A policy that another library trains, and its reference, as `inner_loop.evaluation` judges them."""

import copy
from typing import Any

import torch
from torch import Tensor

from inner_loop.ppo.logprobs import token_logprobs
from inner_loop.ppo.tokens import PreparedBatch, TokenBatch, at_response_tokens, model_inputs, to_rows


class PolicyAndReference:
    """Two causal language models of transformers, the second of which never changes.

    Args:
        policy: The one that is trained; read whenever it is asked for, so its weights may change in between.
        reference: The policy as it was at the start; None makes a copy of what `policy` is now.
    """

    def __init__(self, policy: Any, reference: Any = None) -> None:
        self.sampler = policy
        """The causal language model to decode with."""
        self.reference = _frozen_copy(policy) if reference is None else reference

    def prepare(self, batch: TokenBatch) -> PreparedBatch:
        """Nothing is computed in advance."""
        return PreparedBatch(batch, None)

    def __call__(self, prepared: PreparedBatch, temperature: float) -> tuple[Tensor, None]:
        """`b x t` log-probabilities of response tokens under the policy; there is no critic."""
        return _logprobs(self.sampler, prepared.batch, temperature), None

    def reference_logprobs(self, prepared: PreparedBatch, temperature: float) -> Tensor:
        """`b x t` log-probabilities of response tokens under the reference."""
        with torch.no_grad():
            return _logprobs(self.reference, prepared.batch, temperature)


def _logprobs(model: Any, batch: TokenBatch, temperature: float) -> Tensor:
    # By the trunk and its output embedding, as in sampling: trainers replace the forward pass of the whole.
    hidden = at_response_tokens(model.base_model(**model_inputs(batch), use_cache=False).last_hidden_state, batch)
    logits = model.get_output_embeddings()(hidden)
    if batch.kept is not None:
        logits = logits.masked_fill(~batch.kept[batch.response_mask], float("-inf"))
    return to_rows(token_logprobs(logits, batch.response_ids[batch.response_mask], temperature), batch.response_mask)


def _frozen_copy(policy: Any) -> Any:
    reference = copy.deepcopy(policy).eval()
    reference.requires_grad_(False)
    return reference
