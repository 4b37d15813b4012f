"""What early stopping would have saved: the percentile rule of `early_stopping`, replayed on the study's own curves.

The replay takes the trials one after the other, in their order. Trials that ran side by side knew less of each other,
so a real study may stop fewer.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bo_shaping.config.sections import EarlyStoppingConfig
from bo_shaping.text.wording import percent
from inner_loop.spec import CurvePoint

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Replay:
    """What the rule would have done."""

    stopped: dict[int, int]
    """Trial -> the step at which it would have ended."""
    steps_saved: int
    steps: int
    """Of all trials."""
    lost_best: bool
    """Whether the trial of the highest outcome would have been stopped."""
    n_trials: int

    @property
    def share(self) -> float:
        """Of the steps that would not have been run."""
        return self.steps_saved / self.steps if self.steps else 0.0


def replay(
    curves: Mapping[int, Sequence[CurvePoint]],
    ends: Mapping[int, float],
    eligible: set[int],
    rule: EarlyStoppingConfig,
) -> Replay:
    """Apply the rule to the curves of completed trials.

    A trial is stopped at its first point, from `min_step` on and before its end, where it was below the percentile of
    the completed curves before it at every point of the last `patience` steps. It is compared with at least
    `min_curves`, and spared while it is among the `keep_top` best at that step.

    Args:
        curves: Trial index -> learning curve.
        ends: Trial index -> what the study maximises.
        eligible: The trials that may be stopped; others run to their end, and are compared with.
        rule: Its settings.
    """
    steps = np.array(sorted({point.step for curve in curves.values() for point in curve}))
    # Every curve at every step, once: a search per point and earlier curve would take seconds for hundreds of trials.
    at_steps = {index: np.interp(steps, *_step_and_mean(curve)) for index, curve in curves.items()}
    known, n_known = np.empty((len(curves), len(steps))), 0
    stopped: dict[int, int] = {}
    saved = total = 0
    for index in sorted(curves):
        curve = curves[index]
        total += curve[-1].step
        at = _stopping_step(curve, steps, known[:n_known], rule) if index in eligible else None
        if at is None:
            known[n_known] = at_steps[index]
            n_known += 1
        else:
            stopped[index] = at
            saved += curve[-1].step - at
    best = max((index for index in curves if index in ends), key=lambda index: ends[index], default=None)
    return Replay(stopped, saved, total, best in stopped, len(curves))


def _stopping_step(curve: Sequence[CurvePoint], steps: Array, others: Array, rule: EarlyStoppingConfig) -> int | None:
    """The step at which the trial is stopped among `others` (curves by `steps`); None where it goes on."""
    if len(others) < rule.min_curves:
        return None
    behind_since: int | None = None
    for point in curve[:-1]:
        at = others[:, np.searchsorted(steps, point.step)]
        is_top = (at > point.mean).sum() < rule.keep_top
        if is_top or point.mean >= np.percentile(at, rule.percentile):
            behind_since = None
            continue
        behind_since = point.step if behind_since is None else behind_since
        if point.step >= rule.min_step and point.step - behind_since >= rule.patience:
            return point.step
    return None


def _step_and_mean(curve: Sequence[CurvePoint]) -> tuple[list[int], list[float]]:
    return [point.step for point in curve], [point.mean for point in curve]


def replay_sentences(found: Replay, rule: EarlyStoppingConfig, is_on: bool) -> list[str]:
    """What that says, in words."""
    how = (
        f"with early_stopping.percentile {rule.percentile:g} and min_step {rule.min_step}"
        f"{'' if is_on else ' (the defaults; this study runs without)'}"
    )
    if not found.stopped:
        return [f"Early stopping would have saved nothing here, {how}: no trial that it may end fell behind for good."]
    saved = f"{found.steps_saved:,} of {found.steps:,} PPO steps ({percent(found.share)})"
    price = (
        "It would have ended the best trial of the study, too."
        if found.lost_best
        else "The best trial of the study would have gone on."
    )
    return [
        f"Early stopping would have ended {len(found.stopped)} of {found.n_trials} trials and saved {saved}, "
        f"{how}. {price}"
    ]
