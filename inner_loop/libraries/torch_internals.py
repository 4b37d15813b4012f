"""Private names of PyTorch that a training cannot do without (`torch` 2.13)."""

import torch
from torch import nn


def has_avx512_bf16() -> bool:
    """Whether the processor has AVX-512 instructions for bfloat16."""
    return bool(torch.cpu._is_avx512_bf16_supported())


def has_amx_tiles() -> bool:
    """Whether the processor has AMX, Intel's instructions for matrix tiles."""
    return bool(torch.cpu._is_amx_tile_supported())


def keeps_graph() -> bool:
    """In a backward pass: whether the graph is kept for another one, so that saved tensors must stay as they are."""
    return bool(torch._C._autograd._get_current_graph_task_keep_graph())


def own_modules(view: nn.Module, model: nn.Module) -> None:
    """Give a shallow copy of `model` a table of submodules of its own, so that it can be changed in one alone."""
    view._modules = dict(model._modules)
