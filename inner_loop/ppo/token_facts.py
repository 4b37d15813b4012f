"""What the policy knew of its tokens, response by response, for the components that read it."""

import torch
from torch import Tensor

from inner_loop.components import TokenFacts


def token_facts(
    response_mask: Tensor, logprobs: Tensor, ref_logprobs: Tensor, entropy: Tensor, values: Tensor | None = None
) -> list[TokenFacts]:
    """`b` facts of `t` tokens each, on the CPU, from `b x t` tensors; what lies outside the response is left out."""
    columns = [logprobs, ref_logprobs, entropy] + ([] if values is None else [values])
    kept = torch.stack([column[response_mask].double() for column in columns]).cpu()
    lengths = response_mask.sum(dim=1).tolist()
    return [TokenFacts(*row.numpy()) for row in kept.split(lengths, dim=1)]
