"""Outcome constraints of a study: text such as `length >= 0.9 * baseline` into numbers, for Ax and the posterior."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from bo_shaping.config import MEASURES, ObjectiveConfig
from bo_shaping.errors import ConfigError
from inner_loop.schema import nearest

Array = NDArray[np.float64]

CONSTRAINABLE = ("kl", *MEASURES)

_NUMBER = r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?"
_PATTERN = re.compile(rf"\s*(\w+)\s*(<=|>=)\s*({_NUMBER})\s*(\*\s*baseline)?\s*")


@dataclass(frozen=True)
class Constraint:
    """`metric <= bound` or `metric >= bound`; a relative bound is in units of what pure sparse is expected to give."""

    metric: str
    sign: Literal["<=", ">="]
    bound: float
    relative: bool

    def ax_expression(self) -> str:
        """The constraint in Ax's language, where a relative bound is per cent beyond the status quo."""
        if self.relative:
            return f"{self.metric} {self.sign} {self.bound} * baseline"
        return f"{self.metric} {self.sign} {self.bound}"

    def slack(self, values: Array, baseline: Array | float) -> Array:
        """By how much `values` of the metric keep the constraint; negative where they break it."""
        bound = self.bound * baseline if self.relative else self.bound
        return np.asarray(values - bound if self.sign == ">=" else bound - values)

    def __str__(self) -> str:
        return f"{self.metric} {self.sign} {self.bound:g}" + (" * baseline" if self.relative else "")


def parse_constraint(text: str) -> Constraint:
    """A constraint from its text.

    >>> str(parse_constraint("length >= 0.9 * baseline"))
    'length >= 0.9 * baseline'

    Raises:
        ConfigError: Naming what is wrong with it.
    """
    match = _PATTERN.fullmatch(text)
    if match is None:
        raise ConfigError(f"A constraint looks like 'entropy >= 1.5' or 'length >= 0.9 * baseline', got {text!r}.")
    metric, sign, bound, relative = match.groups()
    if metric not in CONSTRAINABLE:
        raise ConfigError(
            f"The constraint {text!r} is about {metric!r}, which is not measured, did you mean "
            f"{nearest(metric, CONSTRAINABLE)!r}? Measures: {', '.join(CONSTRAINABLE)}."
        )
    return Constraint(metric, "<=" if sign == "<=" else ">=", float(bound), relative is not None)


def constraints_of(objective: ObjectiveConfig) -> list[Constraint]:
    """Every constraint of a study, the KL budget first."""
    budget = [] if objective.max_kl is None else [Constraint("kl", "<=", objective.max_kl, relative=False)]
    return budget + [parse_constraint(text) for text in objective.constraints]


def measured(objective: ObjectiveConfig) -> list[str]:
    """The metrics that constraints are about, each once."""
    return list(dict.fromkeys(constraint.metric for constraint in constraints_of(objective)))


def violation(
    constraints: list[Constraint], values: Mapping[str, Array], baseline: Mapping[str, Array | float]
) -> Array:
    """How much the points break the constraints together: 0 where all are kept.

    Each excess counts in units of its bound, so that metrics of different size can be added.
    """
    total: Array = np.zeros(1)
    for constraint in constraints:
        reference = baseline[constraint.metric]
        scale = np.maximum(np.abs(constraint.bound * (reference if constraint.relative else 1.0)), 1e-9)
        total = total + np.maximum(-constraint.slack(values[constraint.metric], reference) / scale, 0.0)
    return total
