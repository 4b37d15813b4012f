"""Two learning curves side by side: which has more reward at equal KL, and which was there in fewer steps.

A policy that only moved further earns more, and has learned nothing that the other could not: what is better at equal
KL is better, what is merely sooner there is faster.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from inner_loop.spec import CurvePoint

Z90 = 1.645
"""Standard deviations to either side of the mean that hold 90 % of a normal distribution."""

_SHARE = 1e-6
"""Rewards are the same where they differ by less than this share of the other curve's rise."""


@dataclass(frozen=True)
class AtEqualKL:
    """One curve less another, at the largest KL that both reached."""

    kl: float
    """That KL, in nats per response."""
    difference: float
    """Reward of the first less that of the other there."""
    interval: tuple[float, float]
    """Its 90 % interval, from the standard errors of the curves (as their bands)."""

    @property
    def is_better(self) -> bool:
        """Whether the whole interval is above zero."""
        return self.interval[0] > 0

    @property
    def is_worse(self) -> bool:
        """Whether the whole interval is below zero."""
        return self.interval[1] < 0

    def in_words(self) -> str:
        """The difference with its interval: '+0.31 (90 %: 0.10 to 0.52) at KL 4.0'."""
        low, high = self.interval
        return f"{self.difference:+.2f} (90 %: {low:.2f} to {high:.2f}) at KL {self.kl:.1f}"


@dataclass(frozen=True)
class Speed:
    """In how many steps one curve was at the reward that the other reached, and when that one was there."""

    reward: float
    """The most that both reached."""
    steps: float
    """Of the first curve, between two points as on a straight line."""
    other_steps: float
    """Of the other curve."""

    @property
    def is_faster(self) -> bool:
        """Whether the first was there a step sooner at least."""
        return self.steps <= self.other_steps - 1

    def in_words(self) -> str:
        """'is at reward 1.20 after 7 steps instead of 20'."""
        return f"is at reward {self.reward:.2f} after {self.steps:.0f} steps instead of {self.other_steps:.0f}"


def at_equal_kl(ours: Sequence[CurvePoint], theirs: Sequence[CurvePoint]) -> AtEqualKL | None:
    """The difference of two curves at the largest KL that both reached; None where they share none but the start.

    The first passing of a KL counts, and between two points reward and standard error lie on straight lines, as in the
    picture.
    """
    if not ours or not theirs:
        return None
    kl = min(max(point.kl for point in curve) for curve in (ours, theirs))
    here, there = _at(ours, kl), _at(theirs, kl)
    if here is None or there is None or kl <= max(ours[0].kl, theirs[0].kl):
        return None
    difference, reach = here[0] - there[0], Z90 * math.hypot(here[1], there[1])
    return AtEqualKL(kl, difference, (difference - reach, difference + reach))


def speed(ours: Sequence[CurvePoint], theirs: Sequence[CurvePoint]) -> Speed | None:
    """When each curve was first at the most reward that both reached; None if either never rose above both starts."""
    if not ours or not theirs:
        return None
    reward = min(max(point.mean for point in curve) for curve in (ours, theirs))
    start = max(ours[0].mean, theirs[0].mean)
    steps, other_steps = _first_step(ours, reward), _first_step(theirs, reward)
    if reward <= start + _SHARE * abs(start) or steps is None or other_steps is None:
        return None
    return Speed(reward, steps, other_steps)


def _at(curve: Sequence[CurvePoint], kl: float) -> tuple[float, float] | None:
    """Reward and standard error where the curve first passes a KL."""
    if curve[0].kl >= kl:
        return curve[0].mean, curve[0].sem
    for a, b in pairwise(curve):
        if a.kl < kl <= b.kl:
            share = (kl - a.kl) / (b.kl - a.kl)
            return a.mean + share * (b.mean - a.mean), a.sem + share * (b.sem - a.sem)
    return None


def _first_step(curve: Sequence[CurvePoint], reward: float) -> float | None:
    if curve[0].mean >= reward:
        return float(curve[0].step)
    for a, b in pairwise(curve):
        if a.mean < reward <= b.mean:
            return a.step + (reward - a.mean) / (b.mean - a.mean) * (b.step - a.step)
    return None
