"""A comparison that `bo-shaping compare -o FILE.json` wrote: its table, and every training's learning curve."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, NonNegativeFloat, NonNegativeInt, TypeAdapter, ValidationError

from bo_shaping.comparison.compare import Comparison
from bo_shaping.comparison.statistics import Interval, Training, mean
from bo_shaping.errors import ExperimentFileError
from bo_shaping.storage.portable import read_json
from inner_loop.io.schema import StrictModel, problems_of
from inner_loop.spec import CurvePoint

N_PLACES = 41
"""At so many steps, or KLs, the mean over seeds is drawn."""


class StoredTraining(StrictModel):
    """One fresh training of a method."""

    method: str
    seed: NonNegativeInt
    curve: list[CurvePoint] = Field(min_length=1)
    seconds: dict[str, NonNegativeFloat]
    stopped: str | None = None
    """Why it ended before its last step; None if it did not."""


@dataclass(frozen=True)
class MeanCurve:
    """The mean of a method's trainings, with its 95 % bootstrap interval over seeds."""

    at: NDArray[np.float64]
    """`p` steps, or KLs."""
    intervals: list[Interval]
    """`p` rewards; without ends where there is one seed only."""


@dataclass(frozen=True)
class StoredComparison:
    """What a file has."""

    comparison: Comparison
    trainings: dict[str, list[Training]]
    """Per method, in the order of the table, one per seed; each up to the KL budget."""

    def by_step(self, method: str) -> MeanCurve:
        """Reward by PPO step; a training that is at the KL budget keeps what it had there."""
        own = self.trainings[method]
        at = np.linspace(0.0, max(training.n_steps for training in own), N_PLACES)
        return _mean_curve(own, at, _reward_at_step)

    def by_kl(self, method: str) -> MeanCurve:
        """Reward where the KL first reaches a value, up to the largest that all of the method's trainings reach."""
        own = self.trainings[method]
        at = np.linspace(0.0, min(max(height.kl for height in training.curve) for training in own), N_PLACES)
        return _mean_curve(own, at, Training.reward_at_kl)


def read_comparison(file: str | Path) -> StoredComparison:
    """Read a file of `bo-shaping compare -o`.

    Raises:
        ExperimentFileError: If it cannot be read, or is none.
    """
    data = read_json(Path(file))
    try:
        if not isinstance(data, dict) or "trainings" not in data:
            raise ExperimentFileError(f"{file} is no comparison; write one with: bo-shaping compare CONFIG -o {file}")
        trainings = TypeAdapter(list[StoredTraining]).validate_python(data["trainings"])
        comparison = TypeAdapter(Comparison).validate_python(
            {key: data[key] for key in Comparison._fields if key in data} | {"rows": _rows(data.get("rows"))}
        )
    except ValidationError as error:
        raise ExperimentFileError(f"{file} is damaged: {problems_of(error)[0]}.") from None
    n_steps = max((one.curve[-1].step for one in trainings), default=0)
    by_method: dict[str, list[Training]] = {row.method: [] for row in comparison.rows}
    for one in trainings:
        if one.method not in by_method:
            raise ExperimentFileError(f"{file} is damaged: it has trainings of {one.method!r}, but no row of it.")
        by_method[one.method].append(Training.of_curve(one.curve, one.seconds, n_steps, comparison.max_kl))
    if empty := [method for method, own in by_method.items() if not own]:
        raise ExperimentFileError(f"{file} is damaged: there is no training of {', '.join(empty)}.")
    return StoredComparison(comparison, by_method)


def _rows(rows: Any) -> Any:
    """With NaN where the file has null, as an end of an interval of one seed."""
    if not isinstance(rows, list):
        return rows
    return [{key: _with_nan(value) for key, value in row.items()} if isinstance(row, dict) else row for row in rows]


def _with_nan(value: Any) -> Any:
    if isinstance(value, list) and len(value) == len(Interval._fields):
        return [math.nan if part is None else part for part in value]
    return value


def _mean_curve(
    trainings: Sequence[Training], at: NDArray[np.float64], reward: Callable[[Training, float], float]
) -> MeanCurve:
    rewards = np.array([[reward(training, float(place)) for training in trainings] for place in at])
    return MeanCurve(at, [mean(row) for row in rewards])


def _reward_at_step(training: Training, step: float) -> float:
    return float(np.interp(step, [h.step for h in training.curve], [h.reward for h in training.curve]))
