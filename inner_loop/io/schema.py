"""Strict configuration models: frozen, no unknown keys, and refusals that say where, what is wrong, what to write."""

import difflib
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel, ConfigDict, ValidationError, model_validator
from pydantic_core import ErrorDetails

MOST_PROBLEMS = 5
"""So many problems are told, and then how many there are; a damaged file may have thousands."""

MOST_CHARACTERS = 60
"""So much of a value that cannot be used is shown."""


def nearest(name: str, choices: Sequence[str] | Mapping[str, object]) -> str:
    """The choice that is spelt most like `name`, in capitals or not.

    >>> nearest("PPO", ["rloo", "ppo"])
    'ppo'
    """
    spelt = {choice.casefold(): choice for choice in reversed(list(choices))}
    return spelt[difflib.get_close_matches(name.casefold(), spelt, n=1, cutoff=0.0)[0]]


class StrictModel(BaseModel):
    """Base of every configuration and of everything that crosses the seam between the two loops.

    Raises:
        pydantic.ValidationError: A ValueError, if a field is missing, unknown or impossible; it names the field, and
            `describe_validation_error` says it in a sentence.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True, allow_inf_nan=False)

    @model_validator(mode="before")
    @classmethod
    def _name_the_nearest_key(cls, data: Any) -> Any:
        # Thousands of trials are read at once: where nothing is wrong, as little as can be is done.
        if isinstance(data, cls) or (isinstance(data, dict) and data.keys() <= cls.__pydantic_fields__.keys()):
            return data
        valid = ", ".join(cls.model_fields)
        if not isinstance(data, dict):
            raise ValueError(f"{_needs(_KEYS, data)}. Valid keys: {valid}")
        for key in data:
            if key in cls.model_fields:
                continue
            if isinstance(key, bool):
                raise ValueError(f"unknown key {shown(key)}: {_BARE_WORDS[key]}. Valid keys: {valid}")
            if not isinstance(key, str):
                raise ValueError(f"unknown key {shown(key)}. Valid keys: {valid}")
            likely = " or ".join(map(repr, _nearest_keys(key, cls)))
            raise ValueError(f"unknown key {shown(key)}, did you mean {likely}? Valid keys: {valid}")
        return data

    @model_validator(mode="before")
    @classmethod
    def _true_is_no_number(cls, data: Any) -> Any:
        """True and false are refused where the value of a key is a number, alone or among other types."""
        if not isinstance(data, dict) or not any(isinstance(value, bool) for value in data.values()):
            return data
        numbers = _numbers_of(cls)
        return {
            key: _NoNumber(value) if isinstance(value, bool) and key in numbers else value
            for key, value in data.items()
        }


@dataclass(frozen=True)
class _NoNumber:
    """True or false where a number is wanted: Python takes them for 1 and 0, and every type refuses this."""

    value: bool


@cache
def _numbers_of(model: type[StrictModel]) -> frozenset[str]:
    """The fields whose value may be a number and neither true nor false."""
    kinds = {name: set(_kinds(field.annotation)) for name, field in model.model_fields.items()}
    return frozenset(name for name, own in kinds.items() if own & {int, float} and bool not in own)


def _kinds(annotation: Any) -> Iterator[Any]:
    """The types that are allowed: those of a union, or the one."""
    for kind in get_args(annotation) if get_origin(annotation) in (Union, UnionType) else (annotation,):
        yield get_args(kind)[0] if get_origin(kind) is Annotated else kind


def _nearest_keys(name: str, model: type[StrictModel]) -> list[str]:
    """The key of the model or of its sections that is spelt most like `name`, by its path; several if it is in several.

    Somebody who writes `trials` beside `budget` means `budget.trials`.
    """
    paths: dict[str, list[str]] = defaultdict(list)
    for path in _key_paths(model):
        paths[path.rpartition(".")[2]].append(path)
    if not difflib.get_close_matches(name.casefold(), paths):
        return [nearest(name, model.model_fields)]
    found = paths[nearest(name, paths)]
    return [path for path in found if path in model.model_fields] or found


def _key_paths(model: type[StrictModel]) -> Iterator[str]:
    for name, field in model.model_fields.items():
        yield name
        for kind in _kinds(field.annotation):
            if isinstance(kind, type) and issubclass(kind, StrictModel):
                yield from (f"{name}.{path}" for path in _key_paths(kind))


def describe_validation_error(error: ValidationError) -> str:
    """One sentence per problem: the path of its key, what is wrong and what to write, without pydantic's vocabulary."""
    problems = problems_of(error)
    more = len(problems) - MOST_PROBLEMS
    return "; ".join([*problems[:MOST_PROBLEMS], *([f"and {more} more"] if more > 0 else [])])


def problems_of(error: ValidationError) -> list[str]:
    """The sentences of `describe_validation_error`, all of them."""
    return [f"{where}: {what}" if where else what for where, what in _sentences(error.errors(include_url=False))]


def shown(value: object) -> str:
    """A value as a configuration's YAML has it, in short.

    >>> shown(None), shown(True), shown("many"), shown([1, 2])
    ('null', 'true', "'many'", 'a list')
    """
    if value is None:
        return "null"
    if isinstance(value, _NoNumber):
        value = value.value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Mapping):
        return _KEYS
    if isinstance(value, list | tuple | set):
        return _LIST
    text = f"{value:.12g}" if isinstance(value, float) else " ".join(str(value).split())
    text = text if len(text) <= MOST_CHARACTERS else f"{text[: MOST_CHARACTERS - 4]} ..."
    return repr(text) if isinstance(value, str) else text


_WHOLE_NUMBER, _NUMBER, _YES_OR_NO, _TEXT = "a whole number", "a number", "true or false", "a text"
_LIST, _KEYS, _FINITE = "a list", "keys and values", "a finite number"

_BARE_WORDS = {
    True: "YAML reads yes, on and true as true unless they are in quotes",
    False: "YAML reads no, off and false as false unless they are in quotes",
}

_NEEDED = {
    "int_type": _WHOLE_NUMBER,
    "int_parsing": _WHOLE_NUMBER,
    "int_parsing_size": _WHOLE_NUMBER,
    "int_from_float": _WHOLE_NUMBER,
    "float_type": _NUMBER,
    "float_parsing": _NUMBER,
    "finite_number": _FINITE,
    "bool_type": _YES_OR_NO,
    "bool_parsing": _YES_OR_NO,
    "string_type": _TEXT,
    "tuple_type": _LIST,
    "list_type": _LIST,
    "dict_type": _KEYS,
}
"""Pydantic's name of a problem -> what should stand there."""

_SAID: dict[str, Callable[[Any, Mapping[str, Any]], str]] = {
    "missing": lambda value, limits: "this key is missing, and has no default",
    "greater_than": lambda value, limits: f"must be above {shown(limits['gt'])}, got {shown(value)}",
    "greater_than_equal": lambda value, limits: f"must be at least {shown(limits['ge'])}, got {shown(value)}",
    "less_than": lambda value, limits: f"must be below {shown(limits['lt'])}, got {shown(value)}",
    "less_than_equal": lambda value, limits: f"must be at most {shown(limits['le'])}, got {shown(value)}",
    "too_short": lambda value, limits: f"must have at least {limits['min_length']} usable entries",
    "too_long": lambda value, limits: f"must have at most {limits['max_length']} entries",
    "literal_error": lambda value, limits: _is_no_choice(value, limits["expected"]),
    "value_error": lambda value, limits: str(limits["error"]).removesuffix("."),
    "json_invalid": lambda value, limits: "this is no whole JSON",
}
"""Pydantic's name of a problem -> what is wrong, from the value and the limits that it breaks."""


def _what(problem: ErrorDetails) -> str:
    kind, value = problem["type"], problem["input"]
    if kind in _NEEDED:
        return _needs(_NEEDED[kind], value)
    if kind in _SAID:
        return _SAID[kind](value, problem.get("ctx", {}))
    return f"{shown(value)} cannot be used here"


def _needs(kind: str, value: object) -> str:
    """That the value is something else than what is needed."""
    if value is None:
        return f"nothing is given (null); write {kind}{', or leave it out' if kind == _KEYS else ''}"
    if isinstance(value, Mapping) or kind == _KEYS:
        return f"{shown(value)} {'are' if isinstance(value, Mapping) else 'is'} given; write {kind}"
    if isinstance(value, list | tuple | set):
        return f"a list is given; write {kind}"
    hint = {_TEXT: "put it in quotes", _LIST: "write it in square brackets"}.get(kind)
    if kind == _TEXT and isinstance(value, bool):
        hint = _BARE_WORDS[value]
    return f"{shown(value)} is not {kind}{f'; {hint}' if hint else ''}"


def _is_no_choice(value: object, choices: str) -> str:
    """`choices` look like `'a', 'b' or 'c'`."""
    if not isinstance(value, str):
        return _needs(f"one of {choices}", value)
    like = nearest(value, choices.split("'")[1::2])
    return f"{shown(value)} does not exist, did you mean {like!r}? Choices: {choices}"


_UNION_MEMBERS = {"str": _TEXT, "int": _WHOLE_NUMBER, "float": _NUMBER, "dict": _KEYS}
"""What stands in pydantic's path where one of several types is allowed, less what is in brackets -> what it means."""


def _sentences(problems: Sequence[ErrorDetails]) -> Iterator[tuple[str, str]]:
    """Where and what, with one sentence for a value that is none of several types."""
    members: dict[tuple[int | str, ...], dict[str, list[ErrorDetails]]] = defaultdict(lambda: defaultdict(list))
    for problem in problems:
        for place, part in enumerate(problem["loc"]):
            if _is_member(problem, place):
                members[problem["loc"][:place]][str(part)].append(problem)
    unions = {place: found for place, found in members.items() if len(found) > 1}
    told = set()
    for problem in problems:
        where = problem["loc"]
        union = next((where[:place] for place in range(len(where)) if where[:place] in unions), None)
        if union is None:
            yield _sentence(where, problem)
        elif union not in told:
            told.add(union)
            yield from _sentences_of_union(union, unions[union])


def _is_member(problem: ErrorDetails, place: int) -> bool:
    """Whether the path names one of several types there, and no key that happens to be called `str`."""
    needed = _UNION_MEMBERS.get(str(problem["loc"][place]).partition("[")[0])
    is_last = place == len(problem["loc"]) - 1
    return needed is not None and (not is_last or _NEEDED.get(problem["type"]) in (needed, _FINITE))


def _sentences_of_union(
    where: tuple[int | str, ...], members: Mapping[str, Sequence[ErrorDetails]]
) -> Iterator[tuple[str, str]]:
    place = len(where) + 1
    inner = [problem for found in members.values() for problem in found if len(problem["loc"]) > place]
    for problem in inner:  # the value has the type of this member, but for something in it
        yield _sentence((*where, *problem["loc"][place:]), problem)
    if not inner:
        *kinds, last = [_UNION_MEMBERS[name.partition("[")[0]] for name in members]
        value = next(iter(members.values()))[0]["input"]
        yield _path(where), _needs(f"{', '.join(kinds)} or {last}", value)


def _sentence(where: tuple[int | str, ...], problem: ErrorDetails) -> tuple[str, str]:
    if where[-1:] == ("[key]",):
        return _path(where[:-2]), f"the key {shown(problem['input'])} is not a text; put it in quotes"
    if problem["type"] == "missing" and isinstance(where[-1], int):
        return _path(where), "this entry is missing"
    return _path(where), _what(problem)


def _path(where: Sequence[int | str]) -> str:
    """The path of a key as in YAML; entries of lists are counted from 1.

    >>> _path(("related", 0, "trials", 2, "outcomes", "kl"))
    'related, entry 1, trials, entry 3, outcomes.kl'
    """
    text, joint = "", ""
    for part in where:
        text += f", entry {part + 1}" if isinstance(part, int) else f"{joint}{part}"
        joint = ", " if isinstance(part, int) else "."
    return text.removeprefix(", ")
