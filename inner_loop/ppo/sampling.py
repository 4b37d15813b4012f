"""Draw one token per row from logits: b rows, v tokens in the vocabulary.

**Truncated sampling.** With top-k or top-p a token is drawn from the policy restricted to the likeliest tokens S of its
place and renormalised. The set is kept, and policy, old policy and reference are all restricted to it and renormalised,
whatever their own likeliest tokens are: ratios start at exactly 1, the log-probability is that of the draw, and the KL
is that of two distributions on one support, which is zero at the start. It says nothing about what the policy would
have done outside S, and the gradient moves probability inside S only.

.. [Holtzman2020] The Curious Case of Neural Text Degeneration. arXiv:1904.09751.
"""

import torch
from torch import Tensor


def draw(logits: Tensor, uniforms: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Sample from `softmax(logits)` by inverse transform.

    Args:
        logits: `b x v` float32; -inf for tokens that cannot be drawn.
        uniforms: `b` in [0, 1).

    Returns:
        `(token, logprob, entropy)`, `b` each: token ids, their log-probabilities, and entropies in nats.
    """
    logprobs = torch.log_softmax(logits, dim=-1)
    probs = logprobs.exp()
    # Sums of many float32 terms drift from 1: the last cumulative value, not 1, is the end of the range.
    cumulative = probs.cumsum(dim=-1)
    threshold = uniforms.unsqueeze(1) * cumulative[:, -1:]
    token = torch.searchsorted(cumulative, threshold, right=True).squeeze(1).clamp(max=logits.shape[-1] - 1)
    logprob = logprobs.gather(1, token.unsqueeze(1)).squeeze(1)
    # A token that cannot be drawn adds nothing, where 0 * -inf would add nan.
    return token, logprob, -(probs * logprobs.clamp(min=torch.finfo(logprobs.dtype).min)).sum(dim=-1)


def likeliest(logits: Tensor, *, top_k: int | None, top_p: float) -> Tensor:
    """`b x v` bool, True on the tokens that can be drawn.

    The k likeliest tokens, and of these, renormalised, the smallest set of likeliest ones that holds `top_p` of the
    probability ([Holtzman2020]_): at least one. Among equally likely tokens at the border some are kept, so that the
    number is right.
    """
    ordered, order = logits.topk(min(top_k or logits.shape[-1], logits.shape[-1]), dim=-1)
    probs = torch.softmax(ordered, dim=-1)
    # A token is kept unless those before it hold top_p already.
    is_kept = probs.cumsum(dim=-1) - probs < top_p
    return torch.zeros_like(logits, dtype=torch.bool).scatter(1, order, is_kept)
