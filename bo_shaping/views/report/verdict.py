"""What a study found, in plain words that do not claim more than its numbers carry."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from bo_shaping.text.wording import describe_probability, describe_weights, is_pure
from bo_shaping.views.equal_kl import AtEqualKL, Speed, at_equal_kl, speed
from bo_shaping.views.report.trial_frame import Landmarks, finished_trials
from inner_loop.spec import SPARSE, CurvePoint, TrialResult

if TYPE_CHECKING:
    from bo_shaping.surrogate.recommendation import Best

FEW_TRIALS = 10
"""Below this many finished trials a surface over weights and a further parameter is mostly prior."""

PROBABLY, SURELY = 0.8, 0.95
"""Probabilities of more reward than the sparse one from which a headline says so."""


@dataclass(frozen=True)
class Verdict:
    """The headline and what a careful reader should know beside it."""

    headline: str
    notes: list[str]


def judge(
    trials: pd.DataFrame,
    results: Mapping[int, Sequence[TrialResult]],
    best: "Best | None",
    landmarks: Landmarks,
    warnings: Sequence[str] = (),
    *,
    curves: Mapping[int, Sequence[CurvePoint]] | None = None,
    kl_limit: float | None = None,
) -> Verdict:
    """Put the outcome in words, with what else there is to warn of.

    Better is what has more reward at equal KL; what is only sooner there is faster. Both are read off the curves that
    the pictures show.

    Args:
        trials: One row per trial, as `Study.trials` returns it.
        results: One list per trial, over its seeds.
        best: The recommendation, if there is one.
        landmarks: Which trials the pictures name.
        warnings: More to say.
        curves: Trial index -> learning curve, as the picture shows them; those of `results` by default.
        kl_limit: Largest final KL that is allowed; None for none, or where trainings stop at it.
    """
    finished = finished_trials(trials)
    failed = _n_failed(trials)
    notes = [f"{failed} of {len(trials)} trials failed; their reasons are in the table."] if failed else []
    if finished.empty:
        return Verdict("No trial has finished yet", notes)
    if best is None:
        return Verdict("There is no recommendation yet", [_count(len(finished)), *notes])
    compared = comparison(curves if curves is not None else _curves_of(results), landmarks)
    notes = [
        *([best.note] if best.note else []),
        *_over_budget(finished, landmarks, best, kl_limit),
        *_simpler(best),
        *(best.borrowed.sentences() if best.borrowed is not None else []),
        *([_count(len(finished))] if len(finished) < FEW_TRIALS else []),
        *(compared.sentences() if compared is not None else []),
        *_measured_difference(results, landmarks),
        *warnings,
        *notes,
    ]
    return Verdict(_headline(best, compared), notes)


@dataclass(frozen=True)
class Comparison:
    """The trial that pictures highlight beside the best trial of the sparse reward."""

    chosen: int
    sparse: int
    at_equal_kl: AtEqualKL | None
    speed: Speed | None

    def sentences(self) -> list[str]:
        """What the curves say, with the interval."""
        lines = []
        if self.at_equal_kl is not None:
            lines.append(
                f"At equal KL, trial #{self.chosen} less the best sparse trial #{self.sparse}: "
                f"{self.at_equal_kl.in_words()}, the most that both reached. The interval is that of the bands of the "
                "curves."
            )
        if self.speed is not None:
            lines.append(f"Trial #{self.chosen} {self.speed.in_words()} (the best sparse trial #{self.sparse}).")
        return lines


def comparison(curves: Mapping[int, Sequence[CurvePoint]], landmarks: Landmarks) -> Comparison | None:
    """The chosen trial beside the best sparse one; None if they are one, or either has no curve."""
    chosen, sparse = landmarks.chosen, landmarks.corners.get(SPARSE)
    if chosen is None or sparse is None or chosen == sparse or not curves.get(chosen) or not curves.get(sparse):
        return None
    ours, theirs = curves[chosen], curves[sparse]
    return Comparison(chosen, sparse, at_equal_kl(ours, theirs), speed(ours, theirs))


def _curves_of(results: Mapping[int, Sequence[TrialResult]]) -> dict[int, list[CurvePoint]]:
    from bo_shaping.storage.mean_curve import mean_curve

    return {index: mean_curve([result.curve for result in each]) for index, each in results.items()}


def _simpler(best: "Best") -> list[str]:
    if best.simplest is None:
        return []
    cost = best.simplest.cost
    return [
        f"Simpler, and not known to be worse: {describe_weights(best.simplest.weights)}. It is expected to cost "
        f"{max(cost.mean, 0.0):.2f}, give or take {cost.sd:.2f}."
    ]


def _over_budget(finished: pd.DataFrame, landmarks: Landmarks, best: "Best", kl_limit: float | None) -> list[str]:
    """A highlighted trial is taken for the recommendation, so one that breaks the budget is said to."""
    rows = finished[finished["index"] == landmarks.chosen]
    if kl_limit is None or rows.empty:
        return []
    kl = float(rows["kl"].iloc[0])
    if not kl > kl_limit:
        return []
    expected = "" if best.kl is None else f", the recommendation itself is expected to have {best.kl:.1f}"
    return [
        f"Trial #{landmarks.chosen}, {landmarks.why}, has a KL of {kl:.1f}, over the budget of {kl_limit:g}{expected}."
    ]


def _headline(best: "Best", compared: Comparison | None) -> str:
    mixture = describe_weights(best.weights)
    probability = best.prob_better_than_sparse
    if is_pure(best.weights, SPARSE):
        return "The sparse reward itself is recommended: no mixture is expected to do better"
    if probability is None:
        return f"{mixture} is recommended; the sparse reward alone is not searched, so that nothing is said of it"
    if probability < PROBABLY:
        return f"{mixture} cannot be told apart from the sparse reward"
    surely = "" if probability >= SURELY else "probably "
    more = f"more {best.reward} with probability {describe_probability(probability)}"
    equal, sooner = (compared.at_equal_kl, compared.speed) if compared is not None else (None, None)
    if equal is None:
        return f"{mixture} {surely}has {more} than the sparse reward; at equal KL they were not compared"
    low, high = equal.interval
    by = f"{equal.difference:+.2f} (90 %: {low:.2f} to {high:.2f})"
    if equal.is_better:
        return f"{mixture} is {surely}better than the sparse reward at equal KL: {by}; {more}"
    verdict = "worse" if equal.is_worse else "not better"
    if sooner is not None and sooner.is_faster:
        return (
            f"{mixture} is {surely}faster than the sparse reward, {sooner.steps:.0f} steps instead of "
            f"{sooner.other_steps:.0f} to the same reward, and {verdict} at equal KL: {by}; {more}"
        )
    return f"{mixture} {surely}has {more} than the sparse reward, and is {verdict} at equal KL: {by}"


def _count(n: int) -> str:
    trials = "trial has" if n == 1 else "trials have"
    return f"Only {n} {trials} finished: read the numbers as a first impression, and add trials before relying on them."


def _measured_difference(results: Mapping[int, Sequence[TrialResult]], landmarks: Landmarks) -> list[str]:
    chosen, sparse = landmarks.chosen, landmarks.corners.get(SPARSE)
    if chosen is None or sparse is None or chosen == sparse or not {chosen, sparse} <= set(results):
        return []
    ours, theirs = results[chosen], results[sparse]
    if len({len(result.scores) for result in (*ours, *theirs)}) > 1 or len(ours[0].scores) < 2:
        return []
    # Prompt by prompt, each trial as the mean over its seeds.
    difference = np.mean([result.scores for result in ours], axis=0) - np.mean(
        [result.scores for result in theirs], axis=0
    )
    sem = difference.std(ddof=1) / math.sqrt(len(difference))
    return [
        f"Measured on the same {len(difference)} prompts, trial #{chosen} ({landmarks.why}) ends at "
        f"{difference.mean():+.2f} ± {sem:.2f} against the best sparse trial #{sparse}, but at KL {_kl(ours):.1f} "
        f"against {_kl(theirs):.1f}. The ± is over prompts, paired; it does not contain the variance between seeds."
    ]


def _kl(seeds: Sequence[TrialResult]) -> float:
    return float(np.mean([result.kl for result in seeds]))


def _n_failed(trials: pd.DataFrame) -> int:
    return 0 if trials.empty else int(trials["status"].astype(str).str.upper().eq("FAILED").sum())
