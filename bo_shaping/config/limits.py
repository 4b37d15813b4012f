"""Limits on what a training measures, from text such as `length >= 0.9 * baseline`."""

import math
import re
from dataclasses import dataclass
from typing import Literal

from inner_loop.io.schema import nearest

OF_THE_CURVE = ("length", "entropy", "distinct_1", "distinct_2", "kl_k3")
"""Metrics of the final curve point that may be limited beside `kl`."""

SECONDS, N_EVALUATIONS = COSTS = ("seconds", "n_evaluations")
"""What a training costs: wall seconds, and responses that the reward model scored on the way to its rewards."""

MEASURES = (*OF_THE_CURVE, *COSTS)
"""All that may be limited beside `kl`."""

_NUMBER = r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?"
_PATTERN = re.compile(rf"\s*(\w+)\s*(<=|>=)\s*({_NUMBER})\s*(\*\s*baseline)?\s*")


@dataclass(frozen=True)
class Constraint:
    """`metric <= bound` or `metric >= bound`; a relative bound is a multiple of what the baseline, sparse, gives."""

    metric: str
    sign: Literal["<=", ">="]
    bound: float
    relative: bool

    def __str__(self) -> str:
        """The text that reads back as the same constraint, which is also Ax's."""
        return f"{self.metric} {self.sign} {self.bound!r}" + (" * baseline" if self.relative else "")


def parse_constraint(text: str) -> Constraint:
    """A constraint from its text.

    >>> parse_constraint("length >= 0.9 * baseline")
    Constraint(metric='length', sign='>=', bound=0.9, relative=True)

    Raises:
        ValueError: Naming what is wrong with it.
    """
    metrics = ("kl", *MEASURES)
    match = _PATTERN.fullmatch(text)
    if match is None:
        raise ValueError(f"a constraint looks like 'entropy >= 1.5' or 'length >= 0.9 * baseline', got {text!r}")
    metric, sign, number, relative = match.groups()
    if metric == "reward":
        raise ValueError(f"the constraint {text!r} is about the reward, which is what the study maximises")
    if metric not in metrics:
        raise ValueError(
            f"the constraint {text!r} is about an unknown metric, did you mean {nearest(metric, metrics)!r}? "
            f"Metrics: {', '.join(metrics)}"
        )
    bound = float(number)
    if not math.isfinite(bound) or (relative and bound <= 0):
        raise ValueError(f"the constraint {text!r} needs a finite number, or a positive multiple of the baseline")
    return Constraint(metric, "<=" if sign == "<=" else ">=", bound, relative is not None)
