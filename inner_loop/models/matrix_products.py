"""What the processor multiplies fast, by what it can do and never by a timing: equal machines give equal bits."""

from typing import Any, cast

import torch

from inner_loop.libraries.torch_internals import has_amx_tiles, has_avx512_bf16


def use_fast_float32() -> None:
    """Have float32 matrix products done by oneDNN on CPUs with AVX-512 but without AMX, for the whole process.

    By default they go to MKL, which is built for Intel's processors: on an AMD EPYC (Zen 5) it does 90 GFLOP/s a core
    and oneDNN 200, with equal errors. PyTorch's switch is called bf16 because oneDNN *may* round to bfloat16 under it;
    without AMX it does not, which is tried before it is relied on.
    """
    if not has_avx512_bf16() or has_amx_tiles():
        return
    matmul = cast(Any, torch.backends.mkldnn).matmul
    before, matmul.fp32_precision = matmul.fp32_precision, "bf16"
    if not _products_keep_float32():
        matmul.fp32_precision = before


def _products_keep_float32() -> bool:
    factor = torch.full((64, 64), 1 + 2.0**-12)  # which is 1 in bfloat16
    return torch.equal(factor @ torch.eye(64), factor)


def has_fast_bfloat16(device: torch.device) -> bool:
    """Whether the device has bfloat16 matrix instructions; without them bfloat16 is slower than float32."""
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    return device.type == "cpu" and (has_amx_tiles() or has_avx512_bf16())
