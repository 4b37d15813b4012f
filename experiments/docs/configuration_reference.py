"""Every key of a study's configuration, from the schema and the text beside each field."""

import types
import typing
from collections.abc import Iterator
from typing import Any

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from bo_shaping.config import ParameterRange, ParameterValues, StudyConfig
from bo_shaping.config.tunable import NOT_TUNABLE, OF_ATTRIBUTION, ONLY_VALUES, TUNABLE
from experiments.docs.markdown import table

HEAD = """# Configuration

A study is one YAML file. Every key has a default but `name`, which is that of the file if it is left out. An unknown
key is an error that names the nearest valid one. `bo-shaping init` writes a commented file to start from, and
`--set section.key=value` changes a key at launch.

This page is made from the schema by `python -m experiments.docs`.
"""


_ORDER = """Values are taken in the order that they are given, and neighbours to be alike: what a trial says of one
value, it says in part of the next. Numbers stand from the smallest to the largest, and are evenly spaced whatever they
are; words need an order that means something, as units have from fine to coarse. Two values have no wrong order. Three
or more words without an order, of which each would be a thing of its own, cannot be searched in one study: give the
two that are in question, or launch a study for each."""


def configuration_reference(model: type[BaseModel] = StudyConfig) -> str:
    """The page: a table of the keys at the top, and one for each section."""
    parts = [HEAD, "## At the top\n", _table_of(model, "")]
    for prefix, section in _sections(model, ""):
        parts += [f"\n## `{prefix}`\n", f"{_first_paragraph(section)}\n", _table_of(section, prefix)]
    parts += ["\n## What can be searched\n", _searchable()]
    return "\n".join(parts) + "\n"


def _sections(model: type[BaseModel], prefix: str) -> Iterator[tuple[str, type[BaseModel]]]:
    """Nested models in the order of their fields, each before what it holds."""
    for name, field in model.model_fields.items():
        if (section := _model_in(field.annotation)) is not None:
            path = f"{prefix}{name}"
            yield path, section
            yield from _sections(section, f"{path}.")


def _model_in(annotation: Any) -> type[BaseModel] | None:
    """The model that a field holds, None aside; what stands in a dictionary is described with it."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    if typing.get_origin(annotation) in (typing.Union, types.UnionType):
        return next((found for part in typing.get_args(annotation) if (found := _model_in(part))), None)
    return None


def _table_of(model: type[BaseModel], prefix: str) -> str:
    rows = [
        [f"`{name}`", describe_type(field), _default_of(field), field.description or ""]
        for name, field in model.model_fields.items()
        if _model_in(field.annotation) is None
    ]
    return table(["key", "takes", "default", "what it does"], rows)


def describe_type(field: FieldInfo) -> str:
    """What a field takes, in a person's words, its limits included."""
    words = _words(field.annotation)
    limits = [_limit(item) for item in field.metadata]
    return ", ".join([words, *(limit for limit in limits if limit)])


_NAMES = {str: "text", int: "whole number", float: "number", bool: "true or false"}
_RELATIONS = {"gt": "above", "ge": "at least", "lt": "below", "le": "at most"}


def _words(annotation: Any) -> str:
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if annotation is type(None):
        return "null"
    if annotation is ParameterRange:
        return "{bounds: [low, high], log: false}"
    if annotation is ParameterValues:
        return "{values: [one, other, …]}"
    if origin is typing.Annotated:
        return ", ".join([_words(arguments[0]), *filter(None, map(_limit, arguments[1:]))])
    if origin is typing.Literal:
        return " or ".join(f"`{choice}`" for choice in arguments)
    if origin in (typing.Union, types.UnionType):
        return " or ".join(_words(part) for part in arguments)
    if origin is tuple and arguments[-1] is not Ellipsis:
        return f"[{', '.join(_words(part) for part in arguments)}]"
    if origin in (tuple, list):
        return f"list of {_words(arguments[0])}"
    if origin is dict:
        return f"names with {_words(arguments[1])}"
    return _NAMES.get(annotation, getattr(annotation, "__name__", str(annotation)))


def _limit(item: Any) -> str:
    bounds = {word: getattr(item, key, None) for key, word in _RELATIONS.items()}
    return ", ".join(f"{word} {bound:g}" for word, bound in bounds.items() if bound is not None)


def _default_of(field: FieldInfo) -> str:
    default = field.get_default(call_default_factory=True)
    if default is PydanticUndefined:
        return "needed"
    if isinstance(default, dict) and any(isinstance(value, BaseModel) for value in default.values()):
        default = {name: value.model_dump() for name, value in default.items()}
    if default is None or isinstance(default, bool):
        return f"`{'null' if default is None else str(default).lower()}`"
    return f"`{list(default) if isinstance(default, tuple) else default}`"


def _first_paragraph(model: type[BaseModel]) -> str:
    return " ".join((model.__doc__ or "").strip().split("\n\n")[0].split())


def _searchable() -> str:
    searched = ", ".join(f"`{name}`" for name in TUNABLE if name not in ONLY_VALUES)
    by_values = [[f"`{name}`", reason, f"`{{values: {example}}}`"] for name, (reason, example) in ONLY_VALUES.items()]
    rows = [[f"`{name}`", reason] for name, reason in NOT_TUNABLE.items()]
    *most, last = [f"`{name}`" for name in OF_ATTRIBUTION]
    return (
        "`search_space.parameters` takes these fields, over a range of numbers (`bounds`) or a few `values`: "
        f"{searched}. {', '.join(most)} and {last} are fields of `attribution`, all others of `ppo`.\n\n"
        "These are searched by their values only:\n\n"
        + table(["field", "why not over a range", "for example"], by_values)
        + f"\n\n{_ORDER}\n\nThese are refused:\n\n"
        + table(["field", "why"], rows)
    )
