"""Private names of BoTorch that a study cannot do without (`botorch` 0.18)."""

from botorch.acquisition.multi_objective import logei
from botorch.posteriors.gpytorch import GPyTorchPosterior
from botorch.sampling.base import MCSampler
from botorch.utils.low_rank import _reshape_base_samples
from torch import Tensor


def never_compile() -> None:
    """Keep to BoTorch's Python code for hypervolumes, which gives the same values as the C++ that it would compile.

    It compiles at first use, under a lock file that outlives a process killed meanwhile: whoever comes next waits for
    ever. What it compiles is made for this processor, and kept in a home folder that other machines may share.
    """
    logei._load_attempted = True


def draws_by_point(sampler: MCSampler, posterior: GPyTorchPosterior) -> Tensor:
    """`o x c x S` standard normals by outcome, point and draw, as BoTorch takes them for `1 x c` points."""
    return _reshape_base_samples(sampler.base_samples, sampler.sample_shape, posterior).squeeze(0)
