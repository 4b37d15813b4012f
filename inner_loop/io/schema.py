"""Strict configuration models: frozen, no unknown keys, and an error that names the nearest valid key."""

import difflib
from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError, model_validator


def nearest(name: str, choices: Sequence[str] | Mapping[str, object]) -> str:
    """The choice that is spelt most like `name`."""
    return difflib.get_close_matches(name, list(choices), n=1, cutoff=0.0)[0]


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
        if not isinstance(data, dict):
            return data
        for key in data:
            if key in cls.model_fields:
                continue
            raise ValueError(
                f"unknown key {str(key)!r}, did you mean {nearest(str(key), cls.model_fields)!r}? "
                f"Valid keys: {', '.join(cls.model_fields)}"
            )
        return data


def describe_validation_error(error: ValidationError) -> str:
    """One sentence per problem: where it is (dotted path) and what is wrong, without pydantic's vocabulary."""
    problems = []
    for problem in error.errors(include_url=False, include_context=False):
        where = ".".join(str(part) for part in problem["loc"])
        what = problem["msg"].removeprefix("Value error, ")
        problems.append(f"{where}: {what}" if where else what)
    return "; ".join(problems)
