"""Where the outer loop looks: which components are mixed, within what bounds, and which fields of `ppo` vary."""

import functools
from typing import Any, Self

from pydantic import Field, ValidationError, field_validator, model_validator

from bo_shaping.config.searched_parameter import ParameterRange, ParameterValues, SearchedParameter, Value
from bo_shaping.config.tunable import TUNABLE, check_tunable, is_integer, with_parameters
from bo_shaping.config.weight_bounds import SLACK, free, tighten
from inner_loop.io.schema import StrictModel, nearest, problems_of, shown
from inner_loop.spec import COMPONENTS, SPARSE, AttributionConfig, PPOConfig

DEFAULT_COMPONENTS: tuple[str, ...] = ("shap", "leave_one_out", SPARSE)
"""The best component of the wide surface, the second best, which is free beside it, and the baseline."""

PRESETS: dict[str, tuple[str, ...]] = {"papers": ("shap", "lime", SPARSE)}
"""Components by one name: those that the published system mixes (arXiv:2504.16272)."""


class SearchSpaceConfig(StrictModel):
    """Where the outer loop looks: the simplex over `components` times a box of `parameters`."""

    components: tuple[str, ...] = DEFAULT_COMPONENTS
    """Ways to spread the reward over tokens that are mixed; at least two, `sparse` among them. `papers` is short for
    shap, lime and sparse."""
    fixed: dict[str, float] = Field(default={})
    """Weights of components that are held; the others share what is left of 1."""
    bounds: dict[str, tuple[float, float]] = Field(default={})
    """Smallest and largest weight of a component, within 0 and 1."""
    parameters: dict[str, SearchedParameter] = Field(default={"gae_lambda": ParameterRange(bounds=(0.5, 1.0))})
    """Fields of `ppo` that are searched too, such as gae_lambda, kl_coef, learning_rate or epochs, and units, max_units
    and sharpness of `attribution`: each over a range of numbers (`bounds`), or over a few `values` in an order."""

    @field_validator("components", mode="before")
    @classmethod
    def _read_preset(cls, components: Any) -> Any:
        if isinstance(components, str) and components not in PRESETS:
            raise ValueError(
                f"{shown(components)} is neither a list such as [{', '.join(DEFAULT_COMPONENTS)}] nor the name of one: "
                f"{', '.join(PRESETS)}"
            )
        return PRESETS[components] if isinstance(components, str) else components

    @field_validator("components")
    @classmethod
    def _are_components(cls, components: tuple[str, ...]) -> tuple[str, ...]:
        for component in components:
            if component not in COMPONENTS:
                raise ValueError(
                    f"unknown component {component!r}, did you mean {nearest(component, COMPONENTS)!r}? "
                    f"Components: {', '.join(COMPONENTS)}"
                )
        if len(set(components)) != len(components) or len(components) < 2 or SPARSE not in components:
            raise ValueError(f"must be at least two different ones with {SPARSE!r} among them, got {list(components)}")
        return components

    @field_validator("parameters")
    @classmethod
    def _are_tunable(cls, parameters: dict[str, SearchedParameter]) -> dict[str, SearchedParameter]:
        for name, parameter in parameters.items():
            check_tunable(name, parameter)
            for value in parameter.extremes:
                if (refusal := _refusal(name, value)) is not None:
                    raise ValueError(refusal)
        return {name: _of_field(name, parameter) for name, parameter in parameters.items()}

    @model_validator(mode="after")
    def _leaves_something_to_search(self) -> Self:
        for key, names in (("fixed", self.fixed), ("bounds", self.bounds)):
            for name in names:
                if name not in self.components:
                    raise ValueError(
                        f"{key}: unknown component {name!r}, did you mean {nearest(name, self.components)!r}? "
                        f"components: {', '.join(self.components)}"
                    )
        for name, weight in self.fixed.items():
            if name in self.bounds:
                raise ValueError(f"the weight of {name!r} is fixed, so it cannot have bounds too")
            if not 0 <= weight <= 1:
                raise ValueError(f"fixed.{name} must be between 0 and 1, got {weight}")
        for name, (lower, upper) in self.bounds.items():
            if not 0 <= lower < upper <= 1:
                raise ValueError(f"bounds.{name} must be increasing and within 0 and 1, got [{lower}, {upper}]")
        if (held := sum(self.fixed.values())) > 1 + SLACK:
            raise ValueError(f"the fixed weights sum to {held:.6g}, which must not be above 1")
        if not self.free_components and not self.parameters:
            raise ValueError("nothing is left to search: fixed and bounds determine all weights, without parameters")
        return self

    @property
    def ranges(self) -> dict[str, ParameterRange]:
        """The parameters that are searched over a range."""
        return {name: space for name, space in self.parameters.items() if isinstance(space, ParameterRange)}

    @property
    def choices(self) -> dict[str, ParameterValues]:
        """The parameters of which a few values are searched."""
        return {name: space for name, space in self.parameters.items() if isinstance(space, ParameterValues)}

    @property
    def weight_bounds(self) -> dict[str, tuple[float, float]]:
        """Smallest and largest weight that each component can have, given the others; equal for one that is held."""
        fixed = {name: (weight, weight) for name, weight in self.fixed.items()}
        whole = dict.fromkeys(self.components, (0.0, 1.0))
        return tighten(whole | self.bounds | fixed)

    @property
    def free_components(self) -> list[str]:
        """The components whose weight is searched: those that are not held."""
        return free(self.weight_bounds)


def _of_field(name: str, parameter: SearchedParameter) -> SearchedParameter:
    """The parameter with values of the type that its field holds: 2.0 is 2 of a size, and 1 is 1.0 of a rate."""
    if not isinstance(parameter, ParameterValues):
        return parameter
    return ParameterValues(values=tuple(TUNABLE[name](value) for value in parameter.values))


@functools.lru_cache(maxsize=1024)
def _refusal(name: str, value: Value) -> str | None:
    """Why a training parameter cannot have that value, whatever the rest of the study is; None if it can."""
    if isinstance(value, str) and TUNABLE[name] is not str:
        return f"{name}: {shown(value)} is not a {'whole ' if is_integer(name) else ''}number"
    try:
        with_parameters(PPOConfig(), AttributionConfig(), {name: value})
    except ValidationError as error:
        # What several fields together forbid depends on the study: see `conflicts`.
        alone = [problem for problem in problems_of(error) if problem.startswith(f"{name}: ")]
        return "; ".join(alone) or None
    return None
