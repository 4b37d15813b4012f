"""Log-probabilities of given tokens: one buffer of vocabulary size forward, and the same one backward."""

from typing import Any

import torch
from torch import Tensor

from inner_loop.libraries.torch_internals import keeps_graph


def token_logprobs(logits: Tensor, ids: Tensor, temperature: float = 1.0) -> Tensor:
    """`log softmax(logits / temperature)[ids]`, computed in float32 whatever the precision of the logits.

    Args:
        logits: `n x v`; float64 stays float64.
        ids: `n` tokens.
        temperature: Sampling temperature.

    Returns:
        `n` log-probabilities.
    """
    return _TokenLogprobs.apply(logits, ids, temperature)


class _TokenLogprobs(torch.autograd.Function):
    """`log_softmax` and `gather` with d logp_i / d logits = (onehot(id_i) - softmax) / temperature.

    Autograd would keep the normalised logits and make two more tensors of that size on the way back; for a vocabulary
    of 49,152 that is most of the memory and a good part of the time of the head.
    """

    @staticmethod
    def forward(ctx: Any, logits: Tensor, ids: Tensor, temperature: float) -> Tensor:
        dtype = torch.promote_types(logits.dtype, torch.float32)
        if temperature != 1.0:
            logits = logits.to(dtype) / temperature
        normalised = torch.log_softmax(logits, dim=-1, dtype=dtype)
        ctx.save_for_backward(normalised, ids)
        ctx.temperature, ctx.logits_dtype = temperature, logits.dtype
        return normalised.gather(1, ids.unsqueeze(1)).squeeze(1)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None]:
        normalised, ids = ctx.saved_tensors
        grad = (grad / ctx.temperature).unsqueeze(1)
        # Nobody reads the buffer again unless the graph is kept for another pass.
        probs = normalised.exp() if keeps_graph() else normalised.exp_()
        return probs.mul_(-grad).scatter_add_(1, ids.unsqueeze(1), grad).to(ctx.logits_dtype), None, None
