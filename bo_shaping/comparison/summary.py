"""What a comparison says: one row per method, all of them beside the baseline, from the trainings and nothing else."""

import math
from collections.abc import Callable, Mapping, Sequence
from statistics import fmean
from typing import Any, NamedTuple

import numpy as np

from bo_shaping.comparison.settings import Setting
from bo_shaping.comparison.statistics import (
    Interval,
    Training,
    equal_kls,
    interquartile_mean,
    mean,
    paired_difference,
    prob_improvement,
    ratio_of_means,
    rewards_at,
)
from bo_shaping.config.searched_parameter import Value
from bo_shaping.errors import ConfigError
from inner_loop.spec import SPARSE


class Also(NamedTuple):
    """Another measure of a method's trainings than the reward it was trained on."""

    final: Interval
    """At the end, or at the KL budget."""
    at_kl: Interval
    at_kl_difference: Interval | None
    """Less the baseline's, paired by seed; None for the baseline."""


class Row(NamedTuple):
    """What the comparison says of one method; intervals are 95 %, over seeds."""

    method: str
    parameters: dict[str, Value]
    """At which it is at its best."""
    weights: dict[str, float]
    held: Interval
    """Mean reward along the training, held from the KL budget on."""
    held_iqm: Interval
    """The same, the interquartile mean."""
    difference: Interval | None
    """`held` less the baseline's, paired by seed; None for the baseline."""
    improves: float | None
    """Probability that a training of it has more `held` than one of the baseline."""
    final: Interval
    kl: float
    """Mean KL at the end, or at the budget."""
    steps: Interval
    """Steps to the baseline's mean final reward, in units of the baseline's."""
    n_there: int
    """Trainings that got there."""
    equal_kl: float
    """Mean over seeds of the KL that both its training and the baseline's have reached: the lower of the two ends."""
    at_kl: Interval
    """Reward there, seed by seed."""
    at_kl_difference: Interval | None
    """Less the baseline's at the same KL, seed by seed."""
    at_seconds: Interval
    at_seconds_difference: Interval | None
    seconds: float
    """Mean seconds of training, credit included."""
    also: dict[str, Also]
    """Scores by gold reward models, length and diversity of responses, by name."""


class Comparison(NamedTuple):
    """The rows, and at which KL and after which time they are compared."""

    baseline: str
    n_seeds: int
    n_trials: int
    n_steps: int
    """PPO steps that every training was given."""
    max_kl: float | None
    goal: float
    """The baseline's mean final reward."""
    equal_kl: float
    """The largest KL that every training has reached."""
    equal_seconds: float
    """The longest time that every training took."""
    rows: list[Row]

    def to_json(self) -> dict[str, Any]:
        """Plain data; null for what one seed does not tell."""
        rows = [
            {**row._asdict(), "also": {name: also._asdict() for name, also in row.also.items()}} for row in self.rows
        ]
        plain: dict[str, Any] = _without_nan({**self._asdict(), "rows": rows})
        return plain


def _without_nan(data: Any) -> Any:
    if isinstance(data, Mapping):
        return {key: _without_nan(value) for key, value in data.items()}
    if isinstance(data, list | tuple):
        return [_without_nan(value) for value in data]
    return None if isinstance(data, float) and math.isnan(data) else data


def summarise(
    by_method: Mapping[str, Sequence[Training]],
    settings: Mapping[str, Setting],
    *,
    n_steps: int,
    max_kl: float | None,
    n_trials: int,
) -> Comparison:
    """The comparison from its trainings.

    Args:
        by_method: The trainings of each method, all under the same seeds in the same order.
        settings: At which each was trained.
        n_steps: PPO steps that every training was given.
        max_kl: The KL budget in nats per response; None for none.
        n_trials: Trials with which each was tuned.

    Raises:
        ConfigError: If there is nothing to compare by: no method moves its policy.
    """
    baseline = SPARSE if SPARSE in by_method else next(iter(by_method))
    every = [training for own in by_method.values() for training in own]
    goal = fmean(training.final for training in by_method[baseline])
    equal_kl = min(training.largest_kl for training in every)
    equal_seconds = min(training.seconds for training in every)
    if any(training.curve[-1].step == 0 for training in every):
        raise ConfigError("A training ended before its first step (ppo.steps, stop_at_kl), so nothing can be compared.")
    rows = [_row(settings[method], own, by_method[baseline], goal, equal_seconds) for method, own in by_method.items()]
    n_seeds = len(by_method[baseline])
    return Comparison(baseline, n_seeds, n_trials, n_steps, max_kl, goal, equal_kl, equal_seconds, rows)


def _row(
    setting: Setting,
    own: Sequence[Training],
    baseline: Sequence[Training],
    goal: float,
    equal_seconds: float,
) -> Row:
    def both(of: Callable[[Training], float]) -> tuple[np.ndarray, np.ndarray]:
        return np.array([of(training) for training in own]), np.array([of(training) for training in baseline])

    def difference(ours: np.ndarray, theirs: np.ndarray) -> Interval | None:
        return None if own is baseline else paired_difference(ours, theirs)

    held = both(lambda training: training.held)
    equal_kl = equal_kls(own, baseline)
    at_kl = rewards_at(own, equal_kl), rewards_at(baseline, equal_kl)
    at_seconds = both(lambda training: training.reward_at_seconds(equal_seconds))
    return Row(
        method=setting.name,
        parameters=setting.parameters,
        weights=setting.weights,
        held=mean(held[0]),
        held_iqm=interquartile_mean(held[0]),
        difference=difference(*held),
        improves=None if own is baseline else prob_improvement(*held),
        final=mean(both(lambda training: training.final)[0]),
        kl=fmean(training.kl for training in own),
        steps=ratio_of_means(*both(lambda training: training.steps_to(goal)[0])),
        n_there=sum(training.steps_to(goal)[1] for training in own),
        equal_kl=fmean(equal_kl),
        at_kl=mean(at_kl[0]),
        at_kl_difference=difference(*at_kl),
        at_seconds=mean(at_seconds[0]),
        at_seconds_difference=difference(*at_seconds),
        seconds=fmean(training.seconds for training in own),
        also={name: _also(name, own, baseline, equal_kl) for name in own[0].others},
    )


def _also(name: str, own: Sequence[Training], baseline: Sequence[Training], equal_kl: Sequence[float]) -> Also:
    ours, theirs = (
        np.array([training.others_at_kl(kl)[name] for training, kl in zip(trainings, equal_kl, strict=True)])
        for trainings in (own, baseline)
    )
    return Also(
        final=mean(np.array([training.others[name][-1].reward for training in own])),
        at_kl=mean(ours),
        at_kl_difference=None if own is baseline else paired_difference(ours, theirs),
    )
