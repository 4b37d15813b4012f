"""What trainings of several settings under the same seeds say about the settings.

Of one training, from its learning curve up to where its KL passes the budget (linear between points):

| measure | definition |
|---|---|
| `held` | mean reward over all steps, that at the budget held from there on: `bo_shaping.surrogate.held_reward` |
| `final` | reward at the end, or at the budget |
| `reward_at_kl` | reward where the KL first reaches a value that every training reaches |
| `reward_at_seconds` | reward after seconds that every training took, credit included |
| `others_at_kl` | the same of what else was measured: scores of gold reward models, length, diversity |
| `steps_to` | steps until the reward first reaches a goal; all steps, and False, if it never does |

Of a setting: the mean and the interquartile mean over seeds with 95 % bootstrap intervals, as Agarwal et al. advise
(arXiv:2108.13264). Of two settings: paired differences by seed, with their interval.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from bo_shaping.surrogate.held_reward import Height, held_curve, held_reward
from inner_loop.spec import CurvePoint, TrialResult

Array = NDArray[np.float64]

N_RESAMPLES = 4000
"""Bootstrap resamples: the ends of a 95 % interval rest on a hundred of them each."""

TRAINING_PHASES = ("sample", "attribute", "update")
"""Seconds that count for the training of a step: not what it takes to judge it."""


NAN = float("nan")

ALSO_MEASURED = ("length", "distinct_2")
"""What a point of the curve tells beside reward and KL, gold reward models apart."""


class Interval(NamedTuple):
    """An estimate with its 95 % bootstrap interval; the ends are NaN where there is one seed only."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Training:
    """One training as far as it counts."""

    curve: list[Height]
    """Up to the KL budget."""
    n_steps: int
    """Steps it was given."""
    held: float
    seconds: float
    """Of the steps of the curve, credit included."""
    others: Mapping[str, list[Height]] = field(default_factory=dict)
    """The same curve of other measures, by name: those of `ALSO_MEASURED`, and the score by each gold reward model."""

    @classmethod
    def of(cls, result: TrialResult, n_steps: int, max_kl: float | None) -> "Training":
        """A training from its result.

        Args:
            result: What the inner loop returned.
            n_steps: Steps it was given; it may have ended earlier.
            max_kl: The KL budget in nats per response; None for none.
        """
        return cls.of_curve(result.curve, result.seconds, n_steps, max_kl)

    @classmethod
    def of_curve(
        cls, points: Sequence[CurvePoint], seconds: Mapping[str, float], n_steps: int, max_kl: float | None
    ) -> "Training":
        """The same from its learning curve and its seconds by phase."""
        curve = [Height(point.step, point.mean, point.kl) for point in points]
        kept = held_curve(curve, max_kl)
        spent = sum(seconds.get(phase, 0.0) for phase in TRAINING_PHASES)
        share = kept[-1].step / curve[-1].step if curve[-1].step else 0.0
        others = {
            name: held_curve([Height(at.step, value, at.kl) for at, value in zip(curve, values, strict=True)], max_kl)
            for name, values in _others(points).items()
        }
        return cls(kept, n_steps, held_reward(curve, n_steps, max_kl), spent * share, others)

    @property
    def final(self) -> float:
        """Reward at the end of the curve."""
        return self.curve[-1].reward

    @property
    def kl(self) -> float:
        """KL at the end of the curve."""
        return self.curve[-1].kl

    @property
    def largest_kl(self) -> float:
        """The largest KL that it has reached, within the budget."""
        return max(height.kl for height in self.curve)

    def reward_at_kl(self, kl: float) -> float:
        """Reward where the KL first reaches `kl`; at the end of the curve if it never does."""
        return _at_kl(self.curve, kl)

    def others_at_kl(self, kl: float) -> dict[str, float]:
        """What else was measured where the KL first reaches `kl`, by name."""
        return {name: _at_kl(curve, kl) for name, curve in self.others.items()}

    def reward_at_seconds(self, seconds: float) -> float:
        """Reward after so many seconds of training, all steps taken to last equally long."""
        step = self.curve[-1].step * seconds / self.seconds if self.seconds > 0 else self.curve[-1].step
        return float(np.interp(step, [h.step for h in self.curve], [h.reward for h in self.curve]))

    def steps_to(self, reward: float) -> tuple[float, bool]:
        """Steps until the reward first reaches `reward`, and whether it does."""
        step, is_there = _where_first(self.curve, lambda height: height.reward, reward, lambda height: height.step)
        return (step, True) if is_there else (float(self.n_steps), False)


def _others(curve: Sequence[CurvePoint]) -> dict[str, list[float]]:
    measured = {name: [float(getattr(point, name)) for point in curve] for name in ALSO_MEASURED}
    return measured | {name: [point.gold[name] for point in curve] for name in curve[0].gold}


def _at_kl(curve: Sequence[Height], kl: float) -> float:
    return _where_first(curve, lambda height: height.kl, kl, lambda height: height.reward)[0]


def _where_first(
    curve: Sequence[Height], along: Callable[[Height], float], value: float, of: Callable[[Height], float]
) -> tuple[float, bool]:
    """`of` the curve where `along` first reaches `value`, and whether it does."""
    if along(curve[0]) >= value:
        return of(curve[0]), True
    for before, after in pairwise(curve):
        if along(after) >= value:
            share = (value - along(before)) / (along(after) - along(before))
            return of(before) + share * (of(after) - of(before)), True
    return of(curve[-1]), False


def equal_kls(ours: Sequence[Training], theirs: Sequence[Training]) -> list[float]:
    """Seed by seed, the KL that both trainings have reached: the lower of the two ends."""
    return [min(one.largest_kl, other.largest_kl) for one, other in zip(ours, theirs, strict=True)]


def rewards_at(trainings: Sequence[Training], kls: Sequence[float]) -> Array:
    """The reward of each training where its KL first reaches the value that stands for it."""
    return np.array([training.reward_at_kl(kl) for training, kl in zip(trainings, kls, strict=True)])


def mean(samples: Array, *, seed: int = 0) -> Interval:
    """Mean over seeds."""
    return _bootstrap(samples, lambda rows: rows.mean(axis=-1), seed)


def interquartile_mean(samples: Array, *, seed: int = 0) -> Interval:
    """Mean of the middle half: less swayed by one lucky or unlucky seed than the mean, less noisy than the median."""
    return _bootstrap(samples, _middle_mean, seed)


def paired_difference(ours: Array, theirs: Array, *, seed: int = 0) -> Interval:
    """Mean of the differences of trainings that share their seeds."""
    return mean(ours - theirs, seed=seed)


def ratio_of_means(ours: Array, theirs: Array, *, seed: int = 0) -> Interval:
    """Mean of `ours` in units of the mean of `theirs`, seeds resampled together; NaN where a mean of theirs is zero."""
    rows = np.stack([ours, theirs])
    picked = rows[:, _picks(len(ours), seed)].mean(axis=-1)
    with np.errstate(divide="ignore", invalid="ignore"):
        value, ratios = np.divide(ours.mean(), theirs.mean()), picked[0] / picked[1]
    if len(ours) < 2 or not np.isfinite(ratios).all():
        return Interval(float(value) if np.isfinite(value) else NAN, NAN, NAN)
    low, high = np.quantile(ratios, [0.025, 0.975])
    return Interval(float(value), float(low), float(high))


def prob_improvement(ours: Array, theirs: Array) -> float:
    """Probability that a training of ours ends above one of theirs, whatever their seeds; ties count half."""
    above, equal = ours[:, None] > theirs, ours[:, None] == theirs
    return float((above + 0.5 * equal).mean())


def _middle_mean(rows: Array) -> Array:
    """Mean of what lies between the quartiles; values at their edges count in part."""
    n = rows.shape[-1]
    ordered = np.sort(rows, axis=-1)
    # Value i covers the ranks i/n to (i+1)/n.
    edges = np.arange(n + 1) / n
    shares = np.clip(np.minimum(edges[1:], 0.75) - np.maximum(edges[:-1], 0.25), 0.0, None)
    middle: Array = ordered @ shares / shares.sum()
    return middle


def _bootstrap(samples: Array, statistic: Callable[[Array], Array], seed: int) -> Interval:
    value = float(statistic(samples[None])[0])
    if len(samples) < 2:
        return Interval(value, NAN, NAN)
    low, high = np.quantile(statistic(samples[_picks(len(samples), seed)]), [0.025, 0.975])
    return Interval(value, float(low), float(high))


def _picks(n: int, seed: int) -> NDArray[np.int64]:
    return np.random.default_rng(seed).integers(n, size=(N_RESAMPLES, n))
