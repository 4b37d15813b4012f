"""The simplex of mixing weights and the box of training parameters, as Ax parameters and as trial specs.

An arm in Ax is `{"w_shap": ..., "w_lime": ..., "w_sparse": ..., "gae_lambda": ...}`; all weights are parameters, tied
by the equality constraint that they sum to 1, so that the Gaussian process treats the components alike.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from bo_shaping.config import SearchSpaceConfig, StudyConfig
from inner_loop.spec import TrialSpec

if TYPE_CHECKING:
    from ax.core.search_space import SearchSpace

PREFIX = "w_"
DIGITS = 12
"""Weights are rounded to so many digits: they then survive a round trip through any store."""

SLACK = 1e-9
"""Weights whose sum is this near 1 are on the simplex."""


def project(weights: Mapping[str, float]) -> dict[str, float]:
    """The point of the simplex that `weights` means: clipped at 0 and renormalised, never -1e-16.

    Raises:
        ValueError: If no weight is positive.
    """
    clipped = {name: max(float(weight), 0.0) for name, weight in weights.items()}
    total = sum(clipped.values())
    if not total > 0:
        raise ValueError(f"At least one mixing weight must be positive, got {dict(weights)}.")
    # What is on the simplex already stays as it is: the token of a job depends on the last digit.
    scale = 1.0 if abs(total - 1) < SLACK else total
    return {name: round(weight / scale, DIGITS) for name, weight in clipped.items()}


def to_arm(weights: Mapping[str, float], parameters: Mapping[str, float]) -> dict[str, float]:
    """Ax parameters of mixing weights and training parameters."""
    return {PREFIX + name: weight for name, weight in project(weights).items()} | dict(parameters)


def from_arm(arm: Mapping[str, float]) -> tuple[dict[str, float], dict[str, float]]:
    """Mixing weights, projected on the simplex, and training parameters of an Ax arm."""
    weights = {name.removeprefix(PREFIX): value for name, value in arm.items() if name.startswith(PREFIX)}
    return project(weights), {name: float(value) for name, value in arm.items() if not name.startswith(PREFIX)}


def to_specs(config: StudyConfig, arm: Mapping[str, float], seeds: Sequence[int]) -> list[TrialSpec]:
    """One spec per replicate. Every arm gets the same seeds: differences between arms are then less noisy."""
    weights, parameters = from_arm(arm)
    # Validated again, because a copied model is not.
    ppo = type(config.ppo).model_validate(config.ppo.model_dump() | parameters)
    return [
        TrialSpec(
            weights=weights,
            task=config.task,
            attribution=config.attribution,
            ppo=ppo,
            evaluation=config.evaluation,
            seed=seed,
            n_samples=config.n_samples,
        )
        for seed in seeds
    ]


def ax_search_space(config: SearchSpaceConfig) -> "SearchSpace":
    """The Ax search space, with the native equality constraint of the simplex."""
    from ax.core.parameter import ParameterType, RangeParameter
    from ax.core.parameter_constraint import ParameterConstraint
    from ax.core.search_space import SearchSpace

    weights = [
        RangeParameter(name=PREFIX + name, parameter_type=ParameterType.FLOAT, lower=0.0, upper=1.0)
        for name in config.components
    ]
    extra = [
        RangeParameter(
            name=name,
            parameter_type=ParameterType.FLOAT,
            lower=parameter.bounds[0],
            upper=parameter.bounds[1],
            log_scale=parameter.log,
        )
        for name, parameter in config.parameters.items()
    ]
    simplex = ParameterConstraint(equality=" + ".join(weight.name for weight in weights) + " == 1")
    return SearchSpace(parameters=[*weights, *extra], parameter_constraints=[simplex])
