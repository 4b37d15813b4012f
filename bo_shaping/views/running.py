"""How far a study is while it runs: the curve of each running trial, what is left of it, and what is best so far."""

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import NormalDist, fmean

from bo_shaping.storage.recommendation_file import read_recommendation
from bo_shaping.storage.records import TrialRecord
from bo_shaping.storage.study_folder import StudyFolder
from bo_shaping.text.wording import describe_duration, describe_probability, describe_weights
from bo_shaping.views.equal_kl import Z90
from bo_shaping.views.status import StudyStatus, TrialStatus
from inner_loop.spec import SPARSE, CurvePoint

_BLOCKS = "▁▂▃▄▅▆▇█"
SPARK_WIDTH = 16
"""Characters of a sparkline at most."""

_LEAST_DONE = 0.02
"""With less of a trial done, the time that is left would be a guess."""


@dataclass(frozen=True)
class Running:
    """What is known of a trial that runs, beyond its newest event."""

    points: list[CurvePoint]
    """Its learning curve so far, of the replicate that runs."""
    seconds_left: float | None
    """None where too little is done to tell."""

    def words(self) -> list[str]:
        """Its reward with a 90 % interval, its curve, and how long it still takes."""
        words = []
        if self.points:
            last = self.points[-1]
            low, high = last.mean - Z90 * last.sem, last.mean + Z90 * last.sem
            curve = sparkline([point.mean for point in self.points])
            words.append(f"reward {last.mean:.2f} ({low:.2f} to {high:.2f}) {curve}, KL {last.kl:.1f}")
        if self.seconds_left is not None:
            words.append(f"{describe_duration(self.seconds_left)} left")
        return words


def sparkline(values: Sequence[float]) -> str:
    """Numbers as a line of blocks, from the smallest to the largest; what is not finite is a gap.

    >>> sparkline([0.0, 1.0, 2.0, 7.0, float("nan")])
    '▁▂▃█ '
    """
    if len(values) > SPARK_WIDTH:
        places = [round(i * (len(values) - 1) / (SPARK_WIDTH - 1)) for i in range(SPARK_WIDTH)]
        values = [values[place] for place in places]
    finite = [value for value in values if math.isfinite(value)]
    if not finite:
        return ""
    low, width = min(finite), max(finite) - min(finite)
    top = len(_BLOCKS) - 1
    return "".join(
        _BLOCKS[round(top * (value - low) / width) if width > 0 else 0] if math.isfinite(value) else " "
        for value in values
    )


def running_of(folder: StudyFolder, trial: TrialStatus, now: Callable[[], float] = time.time) -> Running:
    """Read what the trial has written so far."""
    files = folder.trial(trial.record.index)
    last, worker = files.last_event(), files.worker()
    points = files.curve(last.replicate) if last is not None else []
    left = None
    if worker is not None and trial.done >= _LEAST_DONE:
        left = max(now() - worker.started, 0.0) * (1 - trial.done) / trial.done
    return Running(points, left)


def study_seconds_left(status: StudyStatus, running: Sequence[Running], n_trials: int, parallel: int) -> float | None:
    """Seconds until the study has so many trials, if they take as long as those that ended; None before any has.

    Args:
        status: How the study stands.
        running: Its running trials.
        n_trials: Trials in all.
        parallel: Trials side by side.
    """
    took = [trial.record.seconds for trial in status.trials if trial.record.seconds]
    if not took:
        return None
    usual, n_new = fmean(took), max(n_trials - len(status.trials), 0)
    started = sum(each.seconds_left if each.seconds_left is not None else usual for each in running)
    return (started + n_new * usual) / max(min(parallel, len(running) + n_new), 1)


class BestSoFar:
    """The best trial of a study that runs, in one line; curves of trials that have ended are read once."""

    def __init__(self, folder: StudyFolder) -> None:
        self._folder = folder
        self._sems: dict[int, float | None] = {}

    def line(self, status: StudyStatus) -> str:
        """'best so far: trial 3, 0.50 shap + 0.50 sparse, reward ...'; empty before a trial was completed."""
        budget = self._folder.config().objective
        limit = None if budget.held_kl is not None else budget.max_kl
        done = [
            trial.record
            for trial in status.trials
            if trial.status == "completed" and trial.record.mean is not None
            if limit is None or (trial.record.kl is not None and trial.record.kl <= limit)
        ]
        if not done:
            return ""
        stored = read_recommendation(self._folder)
        if stored is not None:
            best, p = stored[0], stored[0].prob_better_than_sparse
            beats = "" if p is None else f", P(better than sparse) {describe_probability(p)}"
            low, high = best.mean_interval
            expected = f"expected {best.mean:.2f} ({low:.2f} to {high:.2f})"
            return f"recommended so far: {describe_weights(best.weights)}, {expected}{beats}"
        first = max(done, key=_mean)
        text = f"best so far: trial {first.index} ({describe_weights(first.weights)}), reward {_mean(first):.2f}"
        sem = self._sem(first)
        text += "" if sem is None else f" ({_mean(first) - Z90 * sem:.2f} to {_mean(first) + Z90 * sem:.2f})"
        sparse = [record for record in done if record.weights.get(SPARSE) == 1.0]
        if not sparse or first in sparse:
            return text
        rival = max(sparse, key=_mean)
        other = self._sem(rival)
        if sem is None or other is None or sem + other == 0:
            return text
        p = NormalDist().cdf((_mean(first) - _mean(rival)) / math.hypot(sem, other))
        return f"{text}, P(better than sparse) {describe_probability(p)} by their standard errors"

    def _sem(self, record: TrialRecord) -> float | None:
        """The standard error of its reward; of a mean along the curve that of its points, which share their prompts."""
        if record.sem is not None:
            return record.sem
        if record.index not in self._sems:
            curve = self._folder.trial(record.index).curve()
            self._sems[record.index] = fmean(point.sem for point in curve) if curve else None
        return self._sems[record.index]


def _mean(record: TrialRecord) -> float:
    return record.mean if record.mean is not None else -math.inf
