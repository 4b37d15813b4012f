"""What the outer loop may search beside the weights: fields of `ppo`, and those of `attribution` that shape credit.

All numbers of `ppo` but those that are named here with the reason; words, and fields of `attribution`, that are named
here.
"""

import types
import typing
from collections.abc import Mapping

from bo_shaping.config.searched_parameter import ParameterRange, SearchedParameter, Value
from inner_loop.io.schema import nearest
from inner_loop.spec import AttributionConfig, PPOConfig

_COST = "it changes what a trial costs, so that trials could not be compared"
_DIVIDES = "it must divide another size, which few values of a range do"
_WORDS = "it holds words"
_MEASURED = "the validation responses are sampled with it too, so that it would change what is measured"
_GUARD = "it says when a training ends, not how it learns"

NOT_TUNABLE = {
    "steps": _COST,
    "rollout_size": _COST,
    "trainable_layers": _COST,
    "lora_rank": _COST,
    "temperature": _MEASURED,
    "top_k": _MEASURED,
    "top_p": _MEASURED,
    "max_kl": _GUARD,
    "stop_at_kl": _GUARD,
}
"""Numeric fields that cannot be searched, and why. `epochs` can: it changes the cost of the update only."""

ONLY_VALUES = {
    "samples_per_prompt": (_DIVIDES, "[1, 2, 4]"),
    "minibatch_size": (_DIVIDES, "[8, 16, 32]"),
    "accumulate": (_DIVIDES, "[1, 2]"),
    "units": (_WORDS, "[tokens, words, spans]"),
    "reward_scale": (_WORDS, "[none, running]"),
    "kl_estimator": (_WORDS, "[k1, k3]"),
    "missing_eos": (_WORDS, "[none, penalty]"),
}
"""Fields that are searched by their values only: why not over a range, and what to write."""


def _number_type(annotation: object) -> type[int] | type[float] | None:
    """The type, int or float, if that is what the field holds (None aside), else None."""
    union = typing.get_origin(annotation) in (typing.Union, types.UnionType)
    for part in typing.get_args(annotation) if union else (annotation,):
        kind = typing.get_args(part)[0] if typing.get_origin(part) is typing.Annotated else part
        if kind is int:
            return int
        if kind is float:
            return float
    return None


OF_ATTRIBUTION = ("max_units", "sharpness", "units")
"""Fields of `attribution` that can be searched: which units credit is given to, how fine those of spans are, and how
sharp credit is. They change nothing of what an explanation may cost, which `attribution.budget` says."""

TUNABLE: dict[str, type[int] | type[float] | type[str]] = {
    name: kind
    for name, field in PPOConfig.model_fields.items()
    if name not in NOT_TUNABLE
    and (kind := str if name in ONLY_VALUES and ONLY_VALUES[name][0] == _WORDS else _number_type(field.annotation))
    is not None
} | {name: _number_type(AttributionConfig.model_fields[name].annotation) or str for name in OF_ATTRIBUTION}
"""Fields that can be searched, with the type of what they hold."""


def value_of(name: str, ppo: PPOConfig, attribution: AttributionConfig) -> Value | None:
    """What the configuration says of a field that can be searched; None where it is off."""
    value: Value | None = getattr(attribution if name in OF_ATTRIBUTION else ppo, name)
    return value


def with_parameters(
    ppo: PPOConfig, attribution: AttributionConfig, parameters: Mapping[str, Value]
) -> tuple[PPOConfig, AttributionConfig]:
    """Both sections with the values of an arm's training parameters.

    Raises:
        ValidationError: If a value, or several together, are not valid.
    """
    own = {name: value for name, value in parameters.items() if name in OF_ATTRIBUTION}
    rest = {name: value for name, value in parameters.items() if name not in OF_ATTRIBUTION}
    # Validated again, because a copied model is not; that also turns whole floats into ints.
    return (
        PPOConfig.model_validate(ppo.model_dump() | rest),
        AttributionConfig.model_validate(attribution.model_dump() | own),
    )


def is_integer(name: str) -> bool:
    """Whether the training parameter `name` takes whole numbers only."""
    return TUNABLE.get(name) is int


def of_field(name: str, value: Value) -> Value:
    """The value as its field holds it: a whole number is rounded, whatever an optimiser has made of it."""
    return round(value) if is_integer(name) and not isinstance(value, str) else value


def check_tunable(name: str, parameter: SearchedParameter) -> None:
    """Raise `ValueError`, with the reason or the nearest name, unless `name` can be searched so."""
    if name in NOT_TUNABLE:
        raise ValueError(f"{name} cannot be searched: {NOT_TUNABLE[name]}")
    if name not in TUNABLE:
        raise ValueError(
            f"unknown key {name!r}, did you mean {nearest(name, TUNABLE)!r}? Valid keys: {', '.join(TUNABLE)}"
        )
    if isinstance(parameter, ParameterRange) and name in ONLY_VALUES:
        reason, example = ONLY_VALUES[name]
        raise ValueError(f"{name} cannot be searched over a range: {reason}; write {name}: {{values: {example}}}")
