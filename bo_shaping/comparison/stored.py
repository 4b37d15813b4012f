"""A comparison that `bo-shaping compare -o FILE.json` wrote: its table, and every training's learning curve."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, Field, NonNegativeFloat, NonNegativeInt, ValidationError

from bo_shaping.comparison.fresh_trainings import Trained
from bo_shaping.comparison.settings import Setting
from bo_shaping.comparison.statistics import Interval, Training, mean
from bo_shaping.comparison.summary import Comparison, summarise
from bo_shaping.config import StudyConfig
from bo_shaping.config.searched_parameter import Value
from bo_shaping.errors import ExperimentFileError
from bo_shaping.storage.portable import read_json
from inner_loop.io.schema import StrictModel, problems_of
from inner_loop.spec import CurvePoint

_PACKAGES = ("bo-shaping", "torch", "transformers", "ax-platform", "botorch")

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


class _Row(BaseModel):
    """Of a row, what its trainings do not tell."""

    method: str
    weights: dict[str, float]
    parameters: dict[str, Value]


class _Written(StrictModel):
    """Of a file, what the comparison can be derived from."""

    n_trials: NonNegativeInt
    n_steps: NonNegativeInt
    max_kl: float | None
    rows: list[_Row] = Field(min_length=1)
    trainings: list[StoredTraining] = Field(min_length=1)


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
        at = np.linspace(0.0, min(training.largest_kl for training in own), N_PLACES)
        return _mean_curve(own, at, Training.reward_at_kl)


def comparison_json(comparison: Comparison, trained: Sequence[Trained], config: StudyConfig) -> dict[str, Any]:
    """A comparison as plain data: what `read_comparison` reads, its configuration, and the versions used."""
    return comparison.to_json() | {
        "config": config.model_dump(mode="json"),
        "versions": {name: version(name) for name in _PACKAGES},
        "trainings": [
            {"method": one.setting.name}
            | one.result.model_dump(mode="json", include={"seed", "curve", "seconds", "stopped"})
            for one in trained
        ],
    }


def read_comparison(file: str | Path) -> StoredComparison:
    """Read a file of `bo-shaping compare -o`; what it says is derived again from its trainings.

    Raises:
        ExperimentFileError: If it cannot be read, or is none.
    """
    data = read_json(Path(file))
    try:
        if not isinstance(data, dict) or "trainings" not in data:
            raise ExperimentFileError(f"{file} is no comparison; write one with: bo-shaping compare CONFIG -o {file}")
        written = _Written.model_validate({name: data[name] for name in _Written.model_fields if name in data})
    except ValidationError as error:
        raise ExperimentFileError(f"{file} is damaged: {problems_of(error)[0]}.") from None
    by_method: dict[str, list[Training]] = {row.method: [] for row in written.rows}
    for one in sorted(written.trainings, key=lambda one: one.seed):
        if one.method not in by_method:
            raise ExperimentFileError(f"{file} is damaged: it has trainings of {one.method!r}, but no row of it.")
        training = Training.of_curve(one.curve, one.seconds, written.n_steps, written.max_kl)
        by_method[one.method].append(training)
    if len({len(own) for own in by_method.values()}) > 1 or not all(by_method.values()):
        counts = ", ".join(f"{len(own)} of {method}" for method, own in by_method.items())
        raise ExperimentFileError(f"{file} is damaged: methods are not trained equally often ({counts}).")
    settings = {row.method: Setting(row.method, row.weights, row.parameters) for row in written.rows}
    comparison = summarise(
        by_method, settings, n_steps=written.n_steps, max_kl=written.max_kl, n_trials=written.n_trials
    )
    return StoredComparison(comparison, by_method)


def _mean_curve(
    trainings: Sequence[Training], at: NDArray[np.float64], reward: Callable[[Training, float], float]
) -> MeanCurve:
    rewards = np.array([[reward(training, float(place)) for training in trainings] for place in at])
    return MeanCurve(at, [mean(row) for row in rewards])


def _reward_at_step(training: Training, step: float) -> float:
    return float(np.interp(step, [h.step for h in training.curve], [h.reward for h in training.curve]))
