"""One learning curve from those of several seeds."""

import math
from collections.abc import Sequence
from statistics import fmean, stdev

from inner_loop.spec import CurvePoint


def mean_curve(curves: Sequence[Sequence[CurvePoint]]) -> list[CurvePoint]:
    """The mean curve of trainings that differ in their seed only; a single curve is its own mean.

    Args:
        curves: One per seed. A training that ended early counts as far as it went.

    Returns:
        A point for every step that some curve has: means over the seeds that have it. `sem` is the standard error over
        these seeds where there are several, and over validation prompts where there is one.
    """
    by_step: dict[int, list[CurvePoint]] = {}
    for curve in curves:
        for point in curve:
            by_step.setdefault(point.step, []).append(point)
    return [_mean(by_step[step]) for step in sorted(by_step)]


def _mean(points: Sequence[CurvePoint]) -> CurvePoint:
    if len(points) == 1:
        return points[0]
    means = {}
    for name in set(CurvePoint.model_fields) - {"step", "sem", "gold"}:
        measured = [value for point in points if (value := getattr(point, name)) is not None]
        means[name] = fmean(measured) if measured else None
    sem = stdev(point.mean for point in points) / math.sqrt(len(points))
    judges = set.intersection(*(set(point.gold) for point in points))
    gold = {name: fmean(point.gold[name] for point in points) for name in sorted(judges)}
    return CurvePoint(step=points[0].step, sem=sem, gold=gold, **means)
