"""The trials of a study as rows that a Gaussian process can be fitted to: one per training.

Three things are put right here, for our own process and for Ax's alike:

- Replicates are separate rows, so that what a seed adds to every arm is told from what is noise. Their standard error
  is pooled over arms: the residuals of the table arm x seed, from which the effects of both are taken out.
- A training that was stopped early counts as what it would have reached, had it gained from there what completed
  trainings gained on average. The spread of those gains is added to its variance.
- Standard errors are used if every trial has one, and ignored otherwise: Ax refuses a mixture.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from bo_shaping.space.arms import Arm
from bo_shaping.surrogate.outcomes import REWARD

if TYPE_CHECKING:
    from ax.core.experiment import Experiment

Array = NDArray[np.float64]
Curve = dict[float, float]
"""Value by step; a final value without a step is at infinity."""


@dataclass(frozen=True)
class TrialOutcome:
    """What is known of one finished trial."""

    arm: Arm
    """Ax parameters."""
    seeds: list[int]
    means: dict[str, float]
    """Mean over seeds by metric; of a stopped trial, what it is expected to have reached."""
    sems: dict[str, float]
    """Standard errors by metric; only of metrics for which every trial has one."""
    extra: dict[str, float]
    """Variance by metric that comes on top of the noise of a training: the uncertainty of having stopped it."""
    values: dict[str, list[float]]
    """Values by metric, one per seed; empty where only means are known."""


@dataclass(frozen=True)
class Rows:
    """Observations of one metric, `n` in all."""

    arms: list[Arm]
    y: Array
    seeds: list[int]
    known: Array
    """Known variance of every row."""
    n_trainings: Array
    """How many trainings every row is the mean of."""
    learn_noise: bool
    """Whether the noise of a training is to be learned, beside the known variance."""


def finished(experiment: "Experiment") -> dict[int, TrialOutcome]:
    """The trials with a result, completed or stopped, by index."""
    from ax.core.trial_status import TrialStatus

    curves, sems = _read(experiment)
    stopped = {i for i, trial in experiment.trials.items() if trial.status == TrialStatus.EARLY_STOPPED}
    completed = {i for i, trial in experiment.trials.items() if trial.status == TrialStatus.COMPLETED}
    metrics = sorted(curves)
    with_sems = [
        metric
        for metric in metrics
        if all(np.isfinite(sems[metric].get(index, np.nan)) for index in completed & curves[metric].keys())
    ]
    outcomes = {}
    for index in sorted(completed | stopped):
        trial = experiment.trials[index]
        own = {metric: curves[metric][index] for metric in metrics if index in curves[metric]}
        if REWARD not in own:
            continue
        means = {metric: curve[max(curve)] for metric, curve in own.items()}
        extra = dict.fromkeys(own, 0.0)
        if index in stopped:
            for metric, curve in own.items():
                others = [curves[metric][i] for i in sorted(completed) if i in curves[metric]]
                gain, extra[metric] = expected_gain(others, max(curve))
                means[metric] += gain
        values = trial.run_metadata.get("values", {}) if index in completed else {}
        outcomes[index] = TrialOutcome(
            arm=dict(trial.arm.parameters),
            seeds=[int(seed) for seed in trial.run_metadata.get("seeds", [0])],
            means=means,
            sems={metric: sems[metric].get(index, 0.0) for metric in own if metric in with_sems},
            extra=extra,
            values={metric: [float(value) for value in column] for metric, column in values.items()},
        )
    return outcomes


def rows(outcomes: Iterable[TrialOutcome], metric: str) -> Rows:
    """One row per seed where the values of seeds are known, else one per trial.

    A mean over seeds that somebody told, among trials whose values are known, is one row with less noise.
    """
    outcomes = [outcome for outcome in outcomes if metric in outcome.means]
    by_seed = any(outcome.values for outcome in outcomes)
    arms, y, seeds, known, n_trainings = [], [], [], [], []
    for outcome in outcomes:
        column, n_behind = outcome.values.get(metric, []), 1
        if len(column) != len(outcome.seeds):
            column, n_behind = [outcome.means[metric]], len(outcome.seeds) if by_seed else 1
        variance = 0.0 if by_seed else outcome.sems.get(metric, 0.0) ** 2
        for value, seed in zip(column, outcome.seeds, strict=False):
            arms.append(outcome.arm)
            y.append(value)
            seeds.append(seed)
            known.append(variance + outcome.extra[metric])
            n_trainings.append(n_behind)
    learn_noise = by_seed or not all(metric in outcome.sems for outcome in outcomes)
    return Rows(arms, np.array(y), seeds, np.array(known), np.array(n_trainings), learn_noise)


def pooled_sems(outcomes: Mapping[int, TrialOutcome], metric: str) -> dict[int, float] | None:
    """The standard error of every trial's mean, or None if the noise has to be inferred.

    With replicates it is the pooled residual deviation over the root of the number of seeds.
    """
    if not outcomes:
        return None
    tables = [(outcome.seeds, outcome.values.get(metric, [])) for outcome in outcomes.values()]
    deviation = pooled_deviation([(seeds, values) for seeds, values in tables if len(values) == len(seeds)])
    if deviation is not None and all(len(outcome.seeds) > 1 for outcome in outcomes.values()):
        return {
            index: float(np.hypot(deviation / np.sqrt(len(outcome.seeds)), np.sqrt(outcome.extra[metric])))
            for index, outcome in outcomes.items()
        }
    sems = {index: outcome.sems.get(metric, 0.0) for index, outcome in outcomes.items()}
    # A standard error of zero would make the process go through noise.
    return sems if all(sem > 0 for sem in sems.values()) else None


def pooled_deviation(tables: Sequence[tuple[Sequence[int], Sequence[float]]]) -> float | None:
    """Residual standard deviation of one training, given `(seeds, values)` of every arm.

    Arms that ran the same seeds are a two-way table; what is left when the means of arms and of seeds are taken out is
    noise that does not cancel between arms. None where no two arms share two seeds, or where nothing is left.

    >>> pooled_deviation([((0, 1), (1.0, 2.0)), ((0, 1), (5.0, 7.0))])
    0.5
    """
    squares, freedom = 0.0, 0
    for shared in dict.fromkeys(tuple(seeds) for seeds, _ in tables):
        table = np.array([values for seeds, values in tables if tuple(seeds) == shared], dtype=float)
        n_arms, n_seeds = table.shape
        residuals = table - table.mean(axis=0) - table.mean(axis=1, keepdims=True) + table.mean()
        squares += float((residuals**2).sum())
        freedom += (n_arms - 1) * (n_seeds - 1)
    return float(np.sqrt(squares / freedom)) if freedom > 0 and squares > 0 else None


def expected_gain(curves: Sequence[Curve], step: float) -> tuple[float, float]:
    """What trainings gained on average between `step` and their end, and the variance of one such gain.

    Args:
        curves: Completed learning curves; those that do not reach back to `step` are left out.
        step: Where a training was stopped.

    Returns:
        `(0, 0)` where nothing is known.
    """
    gains = []
    for curve in curves:
        steps = [point for point in sorted(curve) if np.isfinite(point)]
        if steps and steps[0] <= step < max(curve):
            gains.append(curve[max(curve)] - float(np.interp(step, steps, [curve[point] for point in steps])))
    if not gains:
        return 0.0, 0.0
    return float(np.mean(gains)), float(np.var(gains, ddof=1)) if len(gains) > 1 else 0.0


def _read(experiment: "Experiment") -> tuple[dict[str, dict[int, Curve]], dict[str, dict[int, float]]]:
    """Curves and final standard errors by metric and trial."""
    frame = experiment.lookup_data().full_df
    steps = frame["step"] if "step" in frame else [np.inf] * len(frame)
    curves: dict[str, dict[int, Curve]] = {}
    sems: dict[str, dict[int, float]] = {}
    columns = (frame["metric_name"], frame["trial_index"], steps, frame["mean"], frame["sem"])
    for metric, index, step, mean, sem in zip(*columns, strict=True):
        at = np.inf if np.isnan(step) else float(step)
        curve = curves.setdefault(metric, {}).setdefault(int(index), {})
        curve[at] = float(mean)
        if at == max(curve):
            sems.setdefault(metric, {})[int(index)] = float(sem)
    return curves, sems
