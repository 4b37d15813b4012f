"""Bars: what a measured number has to reach."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any, Literal


@dataclass(frozen=True)
class Bar:
    """One requirement and what was measured."""

    name: str
    value: float
    direction: Literal["<=", ">="]
    limit: float
    low: float | None = None
    """95 % interval of the value, or the range over repeats, as the part says."""
    high: float | None = None
    note: str = ""

    @property
    def passed(self) -> bool:
        """Whether the measured value reaches the limit; a value that is not a number never does."""
        return self.value <= self.limit if self.direction == "<=" else self.value >= self.limit

    def __str__(self) -> str:
        spread = "" if self.low is None or self.high is None else f" [{self.low:.3g}, {self.high:.3g}]"
        verdict = "pass" if self.passed else "FAIL"
        note = f" ({self.note})" if self.note else ""
        return f"{verdict}  {self.name}: {self.value:.3g}{spread} {self.direction} {self.limit:.3g}{note}"


def as_json(bars: Iterable[Bar]) -> list[dict[str, Any]]:
    """Plain data, numbers to five digits after the point."""
    records = [asdict(bar) | {"passed": bar.passed} for bar in bars]
    return [
        {key: round(value, 5) if isinstance(value, float) else value for key, value in row.items()} for row in records
    ]
