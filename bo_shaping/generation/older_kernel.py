"""Surfaces of older tasks in the Gaussian process that Ax asks for candidates: the covariance of a slope for each.

    k(x, x') = s^2 k_0(x, x') + sum_j u_j^2 phi_j(x) phi_j(x')

with phi_j the surface of older task j, as in `bo_shaping.surrogate.older_surfaces`, and k_0 BoTorch's default kernel.
"""

import math
from typing import Any

import torch
from ax.core.search_space import SearchSpace
from ax.generators.torch.botorch_modular.surrogate import SurrogateSpec
from ax.generators.torch.botorch_modular.utils import ModelConfig
from botorch.models.transforms.input import Normalize
from botorch.models.utils.gpytorch_modules import get_covar_module_with_dim_scaled_prior
from gpytorch.constraints import GreaterThan
from gpytorch.kernels import AdditiveKernel, Kernel, ScaleKernel
from gpytorch.priors import LogNormalPrior
from torch import Tensor

from bo_shaping.config import ParameterValues, RelatedTask
from bo_shaping.config.searched_parameter import SearchedParameter
from bo_shaping.surrogate.gaussian_process import SIGNAL_PRIOR, SLOPE_PRIOR, GaussianProcess
from bo_shaping.surrogate.older_surfaces import older_surfaces
from bo_shaping.surrogate.seed_effects import axes_of_space

SMALLEST = 1e-4
"""Least variance: of 0 a log-normal prior knows no density, and a fit would end there with an error."""


class OlderSurfacesKernel(Kernel):
    """Covariance of slopes times older surfaces, whose variances are learned."""

    has_lengthscale = False

    def __init__(self, processes: list[GaussianProcess]) -> None:
        """Take over the surfaces as sums of correlations.

        Args:
            processes: Of older tasks, `q`.
        """
        super().__init__()
        self._terms = [tuple(torch.as_tensor(part) for part in process.mean_terms()) for process in processes]
        self.register_parameter("raw_slopes", torch.nn.Parameter(torch.zeros(len(processes), dtype=torch.double)))
        self.register_constraint("raw_slopes", GreaterThan(SMALLEST, initial_value=1.0))
        self.register_prior(
            "slope_prior",
            LogNormalPrior(*SLOPE_PRIOR),
            lambda module: module.slopes,
            lambda module, value: module.initialize(raw_slopes=module.raw_slopes_constraint.inverse_transform(value)),
        )

    @property
    def slopes(self) -> Tensor:
        """`q` prior variances of the slopes."""
        constrained: Tensor = self.raw_slopes_constraint.transform(self.raw_slopes)
        return constrained

    def surfaces(self, X: Tensor) -> Tensor:
        """`... x n x q` values at `... x n x d` points."""
        return torch.stack([_sum_of(X, *terms) for terms in self._terms], dim=-1)

    def forward(self, x1: Tensor, x2: Tensor, diag: bool = False, **options: Any) -> Tensor:
        """`... x n x m` covariances, or their `... x n` diagonal."""
        right = self.surfaces(x2)
        # A fit asks for the covariance of the trials with themselves, hundreds of times.
        left = (right if x1 is x2 or torch.equal(x1, x2) else self.surfaces(x1)) * self.slopes
        return (left * right).sum(-1) if diag else left @ right.transpose(-1, -2)


class WithOlderSurfaces(AdditiveKernel):
    """The default kernel, scaled, and the slopes of older surfaces."""

    def __init__(self, n_dimensions: int, processes: list[GaussianProcess]) -> None:
        """As of `OlderSurfacesKernel`, in `n_dimensions` coordinates."""
        own = ScaleKernel(
            get_covar_module_with_dim_scaled_prior(ard_num_dims=n_dimensions),
            outputscale_prior=LogNormalPrior(*SIGNAL_PRIOR),
            outputscale_constraint=GreaterThan(SMALLEST, initial_value=1.0),
        )
        super().__init__(own, OlderSurfacesKernel(processes))


def surrogate_spec(space: SearchSpace, related: tuple[RelatedTask, ...]) -> SurrogateSpec:
    """How Ax is to model each metric of which older tasks know something.

    Args:
        space: The study's search space.
        related: The older tasks.
    """
    axes = axes_of_space(space)
    # What Ax hands over are the coordinates of `encode`, but for the range of the parameters.
    bounds = torch.tensor([_ends(axis) for axis in axes.values()], dtype=torch.double).T
    configs = {}
    for metric in sorted({metric for task in related for trial in task.trials for metric in trial.outcomes}):
        older = older_surfaces(related, axes, metric)
        if older is not None:
            configs[metric] = [
                ModelConfig(
                    covar_module_class=WithOlderSurfaces,
                    covar_module_options={"n_dimensions": len(axes), "processes": older.processes},
                    input_transform_classes=[Normalize],
                    input_transform_options={"Normalize": {"d": len(axes), "bounds": bounds}},
                )
            ]
    return SurrogateSpec(metric_to_model_configs=configs)


def _ends(axis: SearchedParameter) -> tuple[float, float]:
    """What Ax hands over at 0 and at 1: places of a few values, and decimal logarithms."""
    if isinstance(axis, ParameterValues):
        return 0.0, len(axis.values) - 1.0
    lower, upper = axis.bounds
    return (math.log10(lower), math.log10(upper)) if axis.log else (lower, upper)


def _sum_of(X: Tensor, inputs: Tensor, lengths: Tensor, factors: Tensor, constants: Tensor) -> Tensor:
    """`... x n` means at `... x n x d` points; arguments as of `GaussianProcess.mean_terms`."""
    scaled = X.unsqueeze(-3) / lengths.unsqueeze(-2)
    distance = torch.cdist(scaled, inputs / lengths.unsqueeze(-2)) * math.sqrt(5)
    correlation = (1 + distance + distance**2 / 3) * torch.exp(-distance)
    return ((correlation * factors.unsqueeze(-2)).sum(-1) + constants.unsqueeze(-1)).mean(-2)
