"""What is searched of one field: a range of numbers, or a few values in an order.

Both put their values on an axis from 0 to 1, on which distances between arms are measured and Gaussian processes live.
"""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any, Self

from pydantic import BeforeValidator, StrictFloat, StrictInt, StrictStr, field_validator, model_validator

from bo_shaping.config.weight_bounds import SLACK
from inner_loop.io.schema import StrictModel, nearest, shown

if TYPE_CHECKING:
    from numpy.random import Generator

Value = float | str
"""Of a training parameter: a number, or a word where the field holds words."""

ROUNDING = {"rel_tol": 1e-6, "abs_tol": 1e-9}
"""What a number may lose on its way through files and other people's tools."""

MOVES = 0.5
"""Chance that a neighbour of an arm has another arm's value of an ordered choice."""


def is_same(one: Value, other: Value) -> bool:
    """Whether two values are the same but for rounding.

    >>> is_same(0.3, 0.1 + 0.2), is_same(1e-6, 2e-6), is_same("tokens", 1.0)
    (True, False, False)
    """
    if isinstance(one, str) or isinstance(other, str):
        return one == other
    return math.isclose(one, other, **ROUNDING)


class ParameterRange(StrictModel):
    """The range over which one field is searched; a field that holds integers is searched over integers."""

    bounds: tuple[float, float]
    """Smallest and largest value, both included."""
    log: bool = False
    """Whether the search is uniform in the logarithm of the value."""

    @model_validator(mode="after")
    def _is_a_range(self) -> Self:
        lower, upper = self.bounds
        if not lower < upper:
            raise ValueError(f"bounds must be increasing, got [{lower}, {upper}]")
        if self.log and lower <= 0:
            raise ValueError(f"a logarithmic range needs positive bounds, got [{lower}, {upper}]")
        return self

    def at(self, share: float) -> float:
        """The value at a share between 0 and 1 of the way from the smallest to the largest."""
        lower, upper = self.bounds
        value = lower * (upper / lower) ** share if self.log else lower + share * (upper - lower)
        # The power may step over a bound by one rounding error.
        return min(max(value, lower), upper)

    def share_of(self, value: Value) -> float:
        """How much of the way from the smallest to the largest a value is."""
        return self.shares_of([value])[0]

    def shares_of(self, values: Sequence[Value]) -> list[float]:
        """The same of many values."""
        scale = math.log if self.log else float
        lower, upper = (scale(bound) for bound in self.bounds)
        return [(scale(float(value)) - lower) / (upper - lower) for value in values]

    def levels(self, n: int) -> list[Value]:
        """`n` values, evenly spread from the smallest to the largest."""
        return [self.at(i / max(n - 1, 1)) for i in range(n)]

    @property
    def extremes(self) -> tuple[Value, ...]:
        """Values that show whether all are possible: if both bounds are, so is what lies between."""
        return self.bounds

    def near(self, here: Value, there: Value, share: float, rng: "Generator") -> Value:
        """A share of the way from one value to another."""
        start = self.share_of(here)
        return self.at(start + share * (self.share_of(there) - start))

    def within(self, value: Value) -> Value:
        """The searched value that is nearest."""
        lower, upper = self.bounds
        return min(max(float(value), lower), upper)

    def exact(self, value: Value) -> Value:
        """A value that was not refused, as it is kept: of a range as it was given."""
        return value

    def refusal(self, value: Value) -> str | None:
        """Why a value is not searched, after the name of its field; None if it is."""
        lower, upper = self.bounds
        if isinstance(value, str):
            return f"must be a number between {lower:g} and {upper:g}, got {value!r}"
        if lower - SLACK <= value <= upper + SLACK:
            return None
        return f"must be between {lower:g} and {upper:g}, got {value:g}"


class ParameterValues(StrictModel):
    """The values of one field that are searched, in an order in which neighbours are taken to be alike.

    On the axis they are evenly spaced, the first at 0 and the last at 1.
    """

    values: tuple[StrictInt | StrictFloat | StrictStr, ...]
    """Two or more different values of the field. Words stand in the order that they are given, from one end to the
    other, such as from fine to coarse; two words need no order. Numbers stand from the smallest to the largest."""

    @field_validator("values")
    @classmethod
    def _are_an_order(cls, values: tuple[int | float | str, ...]) -> tuple[int | float | str, ...]:
        if len(values) < 2:
            got = shown(values[0]) if values else "none"
            raise ValueError(f"there must be two values or more to choose from, got {got}; to hold a field, set it")
        for place, value in enumerate(values):
            if value in values[:place]:
                raise ValueError(f"{shown(value)} stands there twice")
        numbers = [value for value in values if not isinstance(value, str)]
        if numbers and len(numbers) < len(values):
            raise ValueError(f"they must be all numbers or all words, got {_listed(values)}")
        if numbers != sorted(numbers):
            raise ValueError(
                f"numbers must be in increasing order, got {_listed(values)}; write {_listed(sorted(numbers))}"
            )
        return values

    def at(self, share: float) -> Value:
        """The value at a share between 0 and 1 of the way; each has an equally long part of it."""
        n = len(self.values)
        return self.values[min(max(int(share * n), 0), n - 1)]

    def share_of(self, value: Value) -> float:
        """How much of the way from the first to the last a value is.

        Raises:
            ValueError: If it is none of the values.
        """
        if (refusal := self.refusal(value)) is not None:
            raise ValueError(f"A value {refusal}.")
        return self.values.index(self.within(value)) / (len(self.values) - 1)

    def shares_of(self, values: Sequence[Value]) -> list[float]:
        """The same of many values; raises as `share_of`."""
        known = {value: self.share_of(value) for value in set(values)}
        return [known[value] for value in values]

    def levels(self, n: int) -> list[Value]:
        """All values, however many are asked for: nothing lies between them."""
        return list(self.values)

    @property
    def extremes(self) -> tuple[Value, ...]:
        """Values that show whether all are possible: all of them."""
        return self.values

    def near(self, here: Value, there: Value, share: float, rng: "Generator") -> Value:
        """One of two values: no other is nearer than a whole step."""
        return there if rng.uniform() < MOVES else here

    def within(self, value: Value) -> Value:
        """The searched value that is nearest to a number; a word stays as it is."""
        if isinstance(value, str) or self.are_words:
            return value
        return min(self.values, key=lambda known: abs(float(known) - value))

    def exact(self, value: Value) -> Value:
        """A value that was not refused, as it is kept: without what rounding has done to it."""
        exact = self.within(value)
        return exact if isinstance(exact, str) else float(exact)

    def refusal(self, value: Value) -> str | None:
        """Why a value is not searched, after the name of its field; None if it is."""
        nearest_known = self.within(value)
        if isinstance(value, str) or self.are_words:
            is_known = value in self.values
        else:
            is_known = abs(float(nearest_known) - value) <= SLACK * max(1.0, abs(value))
        if is_known:
            return None
        words = [known for known in self.values if isinstance(known, str)]
        like = f", which is most like {nearest(value, words)!r}" if isinstance(value, str) and words else ""
        return f"must be one of {_listed(self.values)}, got {shown(value)}{like}"

    @property
    def are_words(self) -> bool:
        """Whether the values are words, not numbers."""
        return isinstance(self.values[0], str)


def _listed(values: Sequence[Value]) -> str:
    return f"[{', '.join(value if isinstance(value, str) else shown(value) for value in values)}]"


def _read(data: Any) -> Any:
    """A range or values, by the keys; a key that is misspelt counts as what it is most like."""
    if isinstance(data, ParameterRange | ParameterValues):
        return data
    if not isinstance(data, dict) or not data.keys() - {"log"}:
        got = "" if isinstance(data, dict) else f", got {shown(data)}"
        raise ValueError(
            f"write {{bounds: [low, high]}} for a range, or {{values: [one, other]}} for a few values{got}"
        )
    if "values" in data and "bounds" in data:
        raise ValueError("bounds and values are given together; write bounds for a range, or values for a few values")
    if "values" in data and "log" in data:
        raise ValueError("log is for bounds: values are evenly spaced in any case; leave log out")
    keys = [key for key in data if isinstance(key, str)]
    is_like_values = "bounds" not in keys and any(nearest(key, ("bounds", "log", "values")) == "values" for key in keys)
    return (ParameterValues if is_like_values else ParameterRange).model_validate(data)


SearchedParameter = Annotated[ParameterRange | ParameterValues, BeforeValidator(_read)]
"""What is searched of one field."""
