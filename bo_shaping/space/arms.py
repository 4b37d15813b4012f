"""The mixing weights and the training parameters, as Ax parameters and as trial specs.

An arm in Ax is `{"w_shap": ..., "w_lime": ..., "w_sparse": ..., "gae_lambda": ...}`; all weights are parameters, tied
by the equality constraint that they sum to 1, so that the Gaussian process treats the components alike. A weight that
is held is one of Ax's fixed parameters: arms then say the whole mixture, to plain Ax too, and the constraint is about
the others.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from bo_shaping.config import ParameterRange, SearchSpaceConfig, StudyConfig
from bo_shaping.config.searched_parameter import SearchedParameter, Value
from bo_shaping.config.tunable import TUNABLE, is_integer, of_field, with_parameters
from bo_shaping.space import simplex
from inner_loop.spec import TrialSpec

if TYPE_CHECKING:
    from ax.core.parameter import Parameter
    from ax.core.search_space import SearchSpace

Arm = dict[str, Value]
"""Ax parameters: weights as `w_NAME`, training parameters by name."""

PREFIX = "w_"


def project(weights: Mapping[str, float], space: SearchSpaceConfig | None = None) -> dict[str, float]:
    """The point of the search space that `weights` means, never -1e-16: see `simplex.nearest_point`.

    Args:
        weights: Mixing weights by component.
        space: What holds and bounds weights; None for the whole simplex over the components of `weights`.

    Raises:
        ValueError: If no weight is positive, or one is not finite or of no component of the space.
    """
    return simplex.nearest_point(weights, dict.fromkeys(weights, (0.0, 1.0)) if space is None else space.weight_bounds)


def corner(space: SearchSpaceConfig, component: str) -> dict[str, float]:
    """The mixture nearest to a component alone: the most of it that the space allows, and of the others as they come.

    Without `fixed` and `bounds` that is the component alone; else the centre of the face on which it has most weight.
    For `sparse` it is the baseline of the study.
    """
    bounds = space.weight_bounds
    extreme = simplex.vertices(bounds)
    return simplex.mean_point([w for w in extreme if w[component] >= bounds[component][1] - simplex.SLACK], bounds)


def to_arm(
    weights: Mapping[str, float], parameters: Mapping[str, Value], space: SearchSpaceConfig | None = None
) -> Arm:
    """Ax parameters of mixing weights and training parameters; those that count are ints."""
    arm: Arm = {PREFIX + name: weight for name, weight in project(weights, space).items()}
    return arm | {name: of_field(name, value) for name, value in parameters.items()}


def from_arm(
    arm: Mapping[str, Value], space: SearchSpaceConfig | None = None
) -> tuple[dict[str, float], dict[str, Value]]:
    """Mixing weights, projected, and training parameters of an Ax arm, all floats but for words."""
    weights = {name.removeprefix(PREFIX): float(value) for name, value in arm.items() if name.startswith(PREFIX)}
    parameters = {
        name: value if isinstance(value, str) else float(value)
        for name, value in arm.items()
        if not name.startswith(PREFIX)
    }
    return project(weights, space), parameters


def to_specs(config: StudyConfig, arm: Mapping[str, Value], seeds: Sequence[int]) -> list[TrialSpec]:
    """One spec per seed, equal but for the seed."""
    weights, parameters = from_arm(arm, config.search_space)
    for name, parameter in config.search_space.parameters.items():
        # An optimiser may leave a range by a rounding error, which the schema of `ppo` would refuse.
        parameters[name] = parameter.within(parameters[name])
    stop = [kl for kl in (config.ppo.stop_at_kl, config.objective.held_kl) if kl is not None]
    guards = {"stop_at_kl": min(stop)} if stop else {}
    ppo, attribution = with_parameters(config.ppo, config.attribution, parameters | guards)
    return [
        TrialSpec(
            weights=weights,
            task=config.task,
            attribution=attribution,
            ppo=ppo,
            evaluation=config.evaluation,
            seed=seed,
            n_samples=config.n_samples,
        )
        for seed in seeds
    ]


def ax_search_space(config: SearchSpaceConfig) -> "SearchSpace":
    """The Ax search space, with the native equality constraint of the simplex."""
    from ax.core.parameter import FixedParameter, ParameterType, RangeParameter
    from ax.core.parameter_constraint import ParameterConstraint
    from ax.core.search_space import SearchSpace

    parameters: list[Parameter] = []
    movable = []
    for name, (lower, upper) in config.weight_bounds.items():
        if lower == upper:
            parameters.append(FixedParameter(PREFIX + name, ParameterType.FLOAT, value=lower))
        else:
            parameters.append(RangeParameter(PREFIX + name, ParameterType.FLOAT, lower=lower, upper=upper))
            movable.append(PREFIX + name)
    for name, parameter in config.parameters.items():
        parameters.append(_ax_parameter(name, parameter))
    constraints = []
    if movable:
        rest = 1 - sum(lower for lower, upper in config.weight_bounds.values() if lower == upper)
        constraints.append(ParameterConstraint(equality=f"{' + '.join(movable)} == {rest:.{simplex.DIGITS}f}"))
    return SearchSpace(parameters=parameters, parameter_constraints=constraints)


def _ax_parameter(name: str, parameter: SearchedParameter) -> "Parameter":
    from ax.core.parameter import ChoiceParameter, ParameterType, RangeParameter

    number = int if is_integer(name) else float
    kind = {int: ParameterType.INT, float: ParameterType.FLOAT, str: ParameterType.STRING}[TUNABLE[name]]
    if isinstance(parameter, ParameterRange):
        lower, upper = (number(bound) for bound in parameter.bounds)
        return RangeParameter(name, kind, lower=lower, upper=upper, log_scale=parameter.log)
    # An ordered choice, and no range of places: plain Ax, its SQL and its pictures then show `words`, not 1. Ax keeps
    # the order of words, and sorts numbers, as `ParameterValues` does; the strategy turns both into places.
    values = [value if isinstance(value, str) else number(value) for value in parameter.values]
    return ChoiceParameter(
        name, kind, values=values, is_ordered=True, sort_values=not parameter.are_words, log_scale=False
    )
