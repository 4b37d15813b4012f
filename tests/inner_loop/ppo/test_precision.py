import pytest
import torch
from torch import nn

from inner_loop.ppo.precision import cast_parameters, compute_dtype, copy_with

CPU = torch.device("cpu")


@pytest.mark.parametrize(("amx", "avx512", "dtype"), [(1, 0, "bfloat16"), (0, 1, "bfloat16"), (0, 0, "float32")])
def test_auto_is_bfloat16_where_the_processor_multiplies_it(monkeypatch, amx, avx512, dtype):
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: bool(amx))
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: bool(avx512))
    assert compute_dtype("auto", CPU) == getattr(torch, dtype)
    assert compute_dtype("float32", CPU) == torch.float32
    assert compute_dtype("bfloat16", CPU) == torch.bfloat16


def test_a_copy_has_the_given_parameters_ties_included_and_float32_buffers():
    module = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))
    module[1].weight = module[0].weight
    module.register_buffer("frequencies", torch.ones(2))
    copied = copy_with(module, cast_parameters(module.parameters(), torch.bfloat16))
    assert copied[0].weight.dtype == torch.bfloat16
    assert copied[0].weight is copied[1].weight
    assert copied.frequencies.dtype == torch.float32
    shared = copy_with(module, {module[0].bias: module[0].bias})
    assert shared[0].bias is module[0].bias
    assert shared[1].bias is not module[1].bias
