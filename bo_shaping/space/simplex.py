"""Geometry of the mixing weights: the part of the simplex that tight bounds leave (see `config.weight_bounds`)."""

import itertools
import math
from collections.abc import Mapping, Sequence

from bo_shaping.config.weight_bounds import DIGITS, SLACK, Bounds, free
from inner_loop.io.schema import nearest

Weights = dict[str, float]


def nearest_point(weights: Mapping[str, float], bounds: Bounds) -> Weights:
    """The point of the region that `weights` means, never -1e-16; a point of the region is left as it is.

    The weights are clipped at 0 (one that is missing is 0), and those that are not held scaled to the sum that is left
    for them. If that breaks bounds, the nearest point by Euclidean distance is taken.

    Raises:
        ValueError: If a weight is of no known component or not finite, or if none is positive.
    """
    for name, weight in weights.items():
        if name not in bounds:
            raise ValueError(f"Unknown component {name!r}, did you mean {nearest(name, bounds)!r}?")
        if not math.isfinite(weight):
            raise ValueError(f"The mixing weight of {name!r} must be a finite number, got {weight}.")
    point = {name: max(0.0, float(weights.get(name, 0.0))) for name in bounds}
    if not sum(point.values()) > 0:
        raise ValueError(f"At least one mixing weight must be positive, got {dict(weights)}.")
    movable = free(bounds)
    rest = 1 - sum(bounds[name][0] for name in bounds if name not in movable)
    total = sum(point[name] for name in movable)
    # What is in the region already stays as it is: the token of a job depends on the last digit.
    scale = total / rest if movable and total > 0 and abs(total - rest) >= SLACK else 1.0
    point = {name: point[name] / scale if name in movable else bounds[name][0] for name in bounds}
    inside = all(low - SLACK <= point[name] <= high + SLACK for name, (low, high) in bounds.items())
    if not (inside and abs(sum(point.values()) - 1) < SLACK):
        point = _shift(point, bounds)
    return {name: min(max(round(point[name], DIGITS), low), high) for name, (low, high) in bounds.items()}


def _shift(point: Weights, bounds: Bounds) -> Weights:
    """The Euclidean projection `clip(point - t)` for the one `t` with which it sums to 1."""

    def clipped(t: float) -> Weights:
        return {name: min(max(point[name] - t, low), high) for name, (low, high) in bounds.items()}

    # The sum falls with t, linearly between the knots at which a weight meets one of its bounds.
    knots = sorted({point[name] - bound for name, pair in bounds.items() for bound in pair})
    sums = [sum(clipped(t).values()) for t in knots]
    for (left, more), (right, less) in itertools.pairwise(zip(knots, sums, strict=True)):
        if more >= 1 >= less and more > less:
            return clipped(left + (more - 1) / (more - less) * (right - left))
    return clipped(knots[0] if abs(sums[0] - 1) < abs(sums[-1] - 1) else knots[-1])


def vertices(bounds: Bounds) -> list[Weights]:
    """The extreme points of the region; those with most of the first component first, then of the second, and so on.

    >>> vertices({"shap": (0.0, 0.5), "sparse": (0.5, 1.0)})
    [{'shap': 0.5, 'sparse': 0.5}, {'shap': 0.0, 'sparse': 1.0}]
    """
    found = set()
    for movable in free(bounds) or list(bounds):
        # In an extreme point all weights but one are at a bound, and that one is what is left.
        others = [sorted(set(pair)) for name, pair in bounds.items() if name != movable]
        low, high = bounds[movable]
        for chosen in itertools.product(*others):
            if low - SLACK <= (rest := 1 - sum(chosen)) <= high + SLACK:
                values = iter(chosen)
                point = {name: rest if name == movable else next(values) for name in bounds}
                found.add(tuple(nearest_point(point, bounds).values()))
    return [dict(zip(bounds, point, strict=True)) for point in sorted(found, reverse=True)]


def mean_point(points: Sequence[Weights], bounds: Bounds) -> Weights:
    """The mean of points of the region."""
    return nearest_point({name: sum(point[name] for point in points) / len(points) for name in bounds}, bounds)


def from_cube(shares: Sequence[float], bounds: Bounds) -> Weights:
    """A point of the region from numbers between 0 and 1, one fewer than there are free weights.

    Uniform shares give points that are uniform on the simplex where only weights are held, and spread over the region
    where there are bounds. A stick is broken: each weight takes a share of what the later ones can do without.
    """
    movable, point = free(bounds), {name: low for name, (low, _) in bounds.items()}
    rest = 1 - sum(low for name, low in point.items() if name not in movable)
    for i, (name, share) in enumerate(zip(movable[:-1], shares, strict=True)):
        later = movable[i + 1 :]
        low = max(bounds[name][0], rest - sum(bounds[other][1] for other in later))
        high = min(bounds[name][1], rest - sum(bounds[other][0] for other in later))
        # The first of n weights that are uniform on a simplex is below x with probability 1 - (1 - x)^(n - 1).
        point[name] = low + (1 - (1 - share) ** (1 / len(later))) * (high - low)
        rest -= point[name]
    if movable:
        point[movable[-1]] = rest
    return nearest_point(point, bounds)
