"""These fail first when PyTorch changes what it never promised."""

import copy
from pathlib import Path

import pytest
import torch
from torch import nn

from inner_loop.libraries import torch_internals as internals

CPU_FLAGS = Path("/proc/cpuinfo")


@pytest.mark.skipif(not CPU_FLAGS.exists(), reason="needs /proc/cpuinfo, to compare with")
def test_what_the_processor_can_do_is_what_the_system_says():
    flags = CPU_FLAGS.read_text().split()
    assert internals.has_avx512_bf16() == ("avx512_bf16" in flags)
    if not internals.has_amx_tiles():
        pytest.skip("no AMX here, or the system does not let processes use it")
    assert "amx_tile" in flags


@pytest.mark.parametrize("is_kept", [True, False])
def test_a_backward_pass_knows_whether_its_graph_is_kept(is_kept):
    seen = []

    class Probe(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x.clone()

        @staticmethod
        def backward(ctx, grad):
            seen.append(internals.keeps_graph())
            return grad

    Probe.apply(torch.ones(1, requires_grad=True)).backward(retain_graph=is_kept)
    assert seen == [is_kept]


def test_a_copy_with_modules_of_its_own_can_change_one_of_them():
    model = nn.Sequential(nn.Linear(2, 2), nn.ReLU())
    view = copy.copy(model)
    internals.own_modules(view, model)
    view.register_module("1", nn.Tanh())
    assert isinstance(view[1], nn.Tanh)
    assert isinstance(model[1], nn.ReLU)
    assert view[0] is model[0]
