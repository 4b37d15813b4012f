"""From what the inner loop measured to what the surrogate is told: outcomes of a trial, and its learning curve.

The standard error over validation prompts is never passed on: it does not contain the variance between trainings. With
replicates the standard error is over seeds here, and pooled over arms before a surrogate sees it (`observations`).
"""

import math
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from pydantic import NonNegativeFloat

from bo_shaping.config import StudyConfig
from bo_shaping.config.limits import COSTS, N_EVALUATIONS, OF_THE_CURVE, SECONDS
from bo_shaping.errors import TrialResultError
from bo_shaping.surrogate.held_reward import Height, held_reward
from inner_loop.io.schema import StrictModel
from inner_loop.spec import CurvePoint, TrialProgress, TrialResult

REWARD, KL = "reward", "kl"
"""Names of the two metrics that every study has in Ax; further ones are named as in `CurvePoint`."""

LARGEST = 1e100
"""Outcomes beyond this, in either direction, are refused: their squares and sums would not be finite."""

DECIMALS = 8
"""Digits of outcomes behind the point: Ax's database keeps 10, and numbers must survive a load unchanged."""

Outcome = dict[str, float | tuple[float, float]]
"""Metric to mean, or to mean and standard error."""


class Observation(StrictModel):
    """One number that the surrogate is told."""

    metric: str
    mean: float
    sem: NonNegativeFloat | None = None
    """None leaves the noise to the Gaussian process."""
    step: float | None = None
    """PPO step, for a point of a learning curve."""


def outcome_data(config: StudyConfig, results: Sequence[TrialResult]) -> Outcome:
    """What the surrogate is told about a trial: means over seeds, with standard errors over seeds if there are several.

    What counts is how many results there are: `noise.replicates` may have been another when the trial began. Trials
    with and without a standard error are made comparable where a surrogate is fitted (`observations`).
    """
    outcome: Outcome = {}
    for metric, values in seed_values(config, results).items():
        mean = _storable(float(np.mean(values)))
        if len(values) == 1:
            outcome[metric] = mean
        else:
            outcome[metric] = (mean, _storable(float(np.std(values, ddof=1) / math.sqrt(len(values)))))
    return outcome


def seed_values(config: StudyConfig, results: Sequence[TrialResult]) -> dict[str, list[float]]:
    """Outcomes by metric, one per seed: kept in the trial's `run_metadata["values"]`, where noise is pooled from.

    Raises:
        TrialResultError: If something that the objective or a constraint is about was not measured.
    """
    columns: dict[str, list[float]] = {}
    on_curve = [name for name in config.objective.measures if name in OF_THE_CURVE]
    on_curve += [config.objective.measure] if config.objective.measure != "final" else []
    for result in results:
        if on_curve and not result.curve:
            raise TrialResultError(f"the result has no learning curve, from which the study takes {on_curve[0]}")
        row: dict[str, float | None] = {REWARD: reward_of(config, result), KL: result.kl}
        row |= {name: measured(name, result) for name in config.objective.measures if name not in row}
        for metric, value in row.items():
            if value is None or not abs(value) <= LARGEST:
                raise TrialResultError(f"the result has no usable {metric}, which the study needs: {value}")
            columns.setdefault(metric, []).append(_storable(value))
    return columns


def measured(name: str, result: TrialResult) -> float | None:
    """One of `MEASURES` of a training, which has a learning curve if it is one of the curve's; None if unknown."""
    if name == SECONDS:
        return sum(result.seconds.values())
    if name == N_EVALUATIONS:
        return float(sum(step.n_evaluations for step in result.steps))
    value: float | None = getattr(result.curve[-1], name)
    return value


def reward_of(config: StudyConfig, result: TrialResult) -> float:
    """What the study maximises, of one training.

    Raises:
        TrialResultError: If the learning curve begins where the KL is over the budget already.
    """
    if config.objective.measure == "held":
        heights = [Height(point.step, point.mean, point.kl) for point in result.curve]
        try:
            return held_reward(heights, config.ppo.steps, config.objective.max_kl)
        except ValueError as error:
            raise TrialResultError(
                f"{error}; give a point before that, which objective.measure: held needs, or use final"
            ) from error
    return result.auc if config.objective.measure == "auc" else result.mean


def curve_data(config: StudyConfig, events: Iterable[TrialProgress]) -> list[tuple[int, Outcome]]:
    """The points of a learning curve as outcomes of a training that ends there, by step.

    With replicates it is the mean curve of those that have come so far.
    """
    points: dict[int, list[CurvePoint]] = {}
    for event in events:
        if event.point is not None:
            points.setdefault(event.point.step, []).append(event.point)
    steps = sorted(points)
    heights = [
        Height(step, *(float(np.mean([getattr(point, name) for point in points[step]])) for name in ("mean", "kl")))
        for step in steps
    ]
    budget = config.objective.max_kl if config.objective.measure == "held" else None
    curve: list[tuple[int, Outcome]] = []
    for i, step in enumerate(steps):
        is_final = config.objective.measure == "final"
        row = {REWARD: heights[i].reward if is_final else held_reward(heights[: i + 1], step, budget)}
        # What a training will have cost is known at its end.
        for name in dict.fromkeys([KL, *(name for name in config.objective.measures if name not in COSTS)]):
            measures = [getattr(point, name) for point in points[step]]
            if None not in measures:
                row[name] = float(np.mean(measures))
        curve.append((step, {metric: _storable(value) for metric, value in row.items()}))
    return curve


def curve_observations(config: StudyConfig, events: Sequence[TrialProgress]) -> tuple[Observation, ...]:
    """A learning curve as rows for the surrogate."""
    return tuple(row for step, outcome in curve_data(config, events) for row in observations(outcome, step))


def observations(outcome: Outcome | Mapping[str, float], step: float | None = None) -> tuple[Observation, ...]:
    """Outcomes as rows for the surrogate."""
    rows = []
    for metric, value in outcome.items():
        mean, sem = value if isinstance(value, tuple) else (value, None)
        rows.append(Observation(metric=metric, mean=mean, sem=sem, step=step))
    return tuple(rows)


def _storable(value: float) -> float:
    return round(value, DECIMALS)
