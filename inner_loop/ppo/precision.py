"""Float32 masters and the copy that computes: which precision a device is fast in, and weights that live in both."""

import copy
from collections.abc import Iterable, Mapping
from typing import Literal, TypeVar

import torch
from torch import Tensor, nn

from inner_loop.models.matrix_products import has_fast_bfloat16

Precision = Literal["auto", "float32", "bfloat16"]

Module = TypeVar("Module", bound=nn.Module)


def compute_dtype(precision: Precision, device: torch.device) -> torch.dtype:
    """The type of the working copy; `auto` is bfloat16 where the device multiplies bfloat16 matrices in hardware."""
    if precision == "auto":
        return torch.bfloat16 if has_fast_bfloat16(device) else torch.float32
    return torch.bfloat16 if precision == "bfloat16" else torch.float32


class TrainedWeight:
    """A float32 master, the parameter that computes in its place, and the gradient of an optimizer step.

    Gradients arrive in the type of the working parameter, once per backward pass, and are added up in float32 here:
    eight bits of mantissa cannot hold a sum over many passes. The first one is kept as it comes, so that a step of a
    single pass needs no float32 gradient of all weights at once.
    """

    def __init__(self, master: nn.Parameter, working: nn.Parameter) -> None:
        self.master, self.working = master, working
        self.grad: Tensor | None = None
        working.register_post_accumulate_grad_hook(self._add_grad)

    def _add_grad(self, working: Tensor) -> None:
        grad, working.grad = working.grad, None
        assert grad is not None  # noqa: S101  the hook runs after a gradient has arrived
        self.grad = grad if self.grad is None else self.grad.float().add_(grad)

    @torch.no_grad()
    def publish(self) -> None:
        """Let the working parameter follow its master."""
        if self.working is not self.master:
            self.working.copy_(self.master)


def copy_with(module: Module, parameters: Mapping[nn.Parameter, nn.Parameter]) -> Module:
    """A deep copy in which `parameters` replace those of the original; mapped to themselves, they are shared.

    Buffers are copied as they are: rotary frequencies must stay in float32.
    """
    return copy.deepcopy(module, {id(old): new for old, new in parameters.items()})


def cast_parameters(parameters: Iterable[nn.Parameter], dtype: torch.dtype) -> dict[nn.Parameter, nn.Parameter]:
    """Every parameter and a copy of it in `dtype`; itself where it has that type already."""
    return {
        parameter: parameter
        if parameter.dtype == dtype
        else nn.Parameter(parameter.detach().to(dtype), requires_grad=parameter.requires_grad)
        for parameter in parameters
    }
