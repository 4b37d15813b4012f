"""Which fields of `ppo` the outer loop may search: the numbers of its schema, less those named here with the reason."""

import types
import typing

from inner_loop.io.schema import nearest
from inner_loop.spec import PPOConfig

_COST = "it changes what a trial costs, so that trials could not be compared"
_DIVIDES = "it must divide another size, which few values of a range do"
_MEASURED = "the validation responses are sampled with it too, so that it would change what is measured"
_GUARD = "it says when a training ends, not how it learns"

NOT_TUNABLE = {
    "steps": _COST,
    "rollout_size": _COST,
    "trainable_layers": _COST,
    "lora_rank": _COST,
    "samples_per_prompt": _DIVIDES,
    "minibatch_size": _DIVIDES,
    "accumulate": _DIVIDES,
    "temperature": _MEASURED,
    "top_k": _MEASURED,
    "top_p": _MEASURED,
    "max_kl": _GUARD,
    "stop_at_kl": _GUARD,
}
"""Numeric fields that cannot be searched, and why. `epochs` can: it changes the cost of the update only."""


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


TUNABLE = {
    name: kind
    for name, field in PPOConfig.model_fields.items()
    if name not in NOT_TUNABLE and (kind := _number_type(field.annotation)) is not None
}
"""Fields that can be searched, with the type of number they hold."""


def is_integer(name: str) -> bool:
    """Whether the training parameter `name` takes whole numbers only."""
    return TUNABLE.get(name) is int


def check_tunable(name: str) -> None:
    """Raise `ValueError`, with the reason or the nearest name, unless `name` can be searched."""
    if name in NOT_TUNABLE:
        raise ValueError(f"{name} cannot be searched: {NOT_TUNABLE[name]}")
    if name not in TUNABLE:
        raise ValueError(
            f"unknown key {name!r}, did you mean {nearest(name, TUNABLE)!r}? Valid keys: {', '.join(TUNABLE)}"
        )
