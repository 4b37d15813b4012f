import torch

from inner_loop.models import matrix_products
from inner_loop.models.matrix_products import use_fast_float32


def test_fast_float32_is_float32():
    use_fast_float32()
    generator = torch.Generator().manual_seed(0)
    a, b = torch.randn(128, 128, generator=generator), torch.randn(128, 128, generator=generator)
    # Products of factors rounded to bfloat16 would be off by some 1e-2.
    torch.testing.assert_close((a @ b).double(), a.double() @ b.double(), atol=1e-4, rtol=0)


def test_a_switch_that_rounds_is_taken_back(monkeypatch):
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: False)
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: True)
    monkeypatch.setattr(matrix_products, "_products_keep_float32", lambda: False)
    before = torch.backends.mkldnn.matmul.fp32_precision
    use_fast_float32()
    assert torch.backends.mkldnn.matmul.fp32_precision == before
