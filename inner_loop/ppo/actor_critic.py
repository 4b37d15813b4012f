"""A causal language model with a value head on its trunk: log-probabilities and values of response tokens."""

from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from inner_loop.errors import TaskError

LOGIT_ATOL = 1e-3
"""How far our logits may be from the model's own forward pass (float32 rounding is some 1e-5)."""


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

    def rows(self, index: Tensor) -> "TokenBatch":
        """The sequences at `index`."""
        return TokenBatch(*(field[index] for field in self))


class TokenOutputs(NamedTuple):
    """What a policy says about response tokens; entries outside the response mask mean nothing."""

    logprobs: Tensor
    """`b x t` log-probability of each response token, at the sampling temperature."""
    hidden: Tensor
    """`b x t x d` trunk output from which each response token was predicted."""


class ActorCritic(nn.Module):
    """The policy and its critic: one trunk, two heads.

    The value head starts at zero, so that the first advantages are returns and not noise.

    Raises:
        TaskError: If the model's logits are not its output embedding applied to its trunk's output.
    """

    def __init__(self, policy: nn.Module) -> None:
        super().__init__()
        check_logits(policy)
        self.policy = policy
        self.value_head = nn.Linear(policy.get_output_embeddings().in_features, 1)  # type: ignore[operator]
        nn.init.zeros_(self.value_head.weight)
        nn.init.zeros_(self.value_head.bias)

    def forward(self, batch: TokenBatch, temperature: float) -> tuple[Tensor, Tensor]:
        """`(logprobs, values)`, both `b x t`."""
        outputs = token_outputs(self.policy, batch, temperature)
        return outputs.logprobs, self.value_head(outputs.hidden).squeeze(-1)


def token_outputs(model: Any, batch: TokenBatch, temperature: float) -> TokenOutputs:
    """Log-probabilities of the response tokens, in one pass; logits are computed at response positions only."""
    input_ids = torch.cat([batch.prompt_ids, batch.response_ids], dim=1)
    mask = torch.cat([batch.prompt_mask, batch.response_mask], dim=1)
    positions = (mask.cumsum(dim=1) - 1).clamp(min=0)
    trunk = model.base_model(input_ids=input_ids, attention_mask=mask.long(), position_ids=positions, use_cache=False)
    # Token i is predicted one position earlier. A contiguous slice: the matrix product on a strided one is far slower.
    hidden = trunk.last_hidden_state[:, batch.prompt_ids.shape[1] - 1 : -1].contiguous()
    logits = model.get_output_embeddings()(hidden).float()
    if temperature != 1.0:
        logits = logits / temperature
    logprobs = torch.log_softmax(logits, dim=-1).gather(-1, batch.response_ids.unsqueeze(-1)).squeeze(-1)
    return TokenOutputs(logprobs, hidden)


@torch.no_grad()
def check_logits(model: Any) -> None:
    """Raise `TaskError` unless the model's logits are what `token_outputs` computes (no soft-capping, no scaling)."""
    ids = torch.arange(4, device=model.device).unsqueeze(0)
    own = model(input_ids=ids, use_cache=False).logits
    ours = model.get_output_embeddings()(model.base_model(input_ids=ids, use_cache=False).last_hidden_state)
    if not torch.allclose(own, ours, atol=LOGIT_ATOL):
        raise TaskError(
            f"task.policy: {type(model).__name__} changes its logits after the output embedding "
            "(soft-capping, scaling); such models are not supported."
        )
