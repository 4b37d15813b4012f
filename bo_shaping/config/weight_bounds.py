"""Bounds of the mixing weights, and which of them are left once all must sum to 1.

`Bounds` map every component to its smallest and largest weight; a held weight has twice the same. They are *tight* when
each of them is reached by some point of the region `{w : sum w = 1, lower <= w <= upper}`: `tighten` makes them so, and
everything else expects it.
"""

from collections.abc import Mapping

Bounds = Mapping[str, tuple[float, float]]

DIGITS = 12
"""Weights are rounded to so many digits: they then survive a round trip through any store."""

SLACK = 1e-9
"""Weights whose sum is this near 1, bounds that are passed and values that are missed by no more, count as exact."""


def tighten(bounds: Bounds) -> dict[str, tuple[float, float]]:
    """The bounds that the weights can reach, given that they sum to 1.

    >>> tighten({"shap": (0.25, 1.0), "lime": (0.25, 0.5), "sparse": (0.0, 1.0)})
    {'shap': (0.25, 0.75), 'lime': (0.25, 0.5), 'sparse': (0.0, 0.5)}

    Raises:
        ValueError: If no weights within the bounds sum to 1.
    """
    least, most = sum(low for low, _ in bounds.values()), sum(high for _, high in bounds.values())
    if least > 1 + SLACK:
        raise ValueError(f"the smallest weights sum to {least:.6g}, which must not be above 1")
    if most < 1 - SLACK:
        raise ValueError(f"the largest weights sum to {most:.6g}, which must not be below 1")
    tight = {}
    for name, (low, high) in bounds.items():
        # Rounded, so that 1 - (0.1 + 0.2) is 0.7 and a weight that others determine is held at one number.
        floor, ceiling = round(1 - (most - high), DIGITS), round(1 - (least - low), DIGITS)
        tight[name] = (max(low, floor), min(high, ceiling))
        if tight[name][1] - tight[name][0] <= SLACK:
            tight[name] = (tight[name][0], tight[name][0])
    return tight


def free(bounds: Bounds) -> list[str]:
    """The components whose weight is not held."""
    return [name for name, (low, high) in bounds.items() if low < high]
