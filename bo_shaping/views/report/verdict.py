"""What a study found, in plain words that do not claim more than its numbers carry."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from bo_shaping.text.wording import describe_probability, describe_weights
from bo_shaping.views.report.trial_frame import Landmarks, finished_trials
from inner_loop.spec import TrialResult

if TYPE_CHECKING:
    from bo_shaping.surrogate.recommendation import Best

FEW_TRIALS = 10
"""Below this many finished trials a surface over weights and a further parameter is mostly prior."""


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
) -> Verdict:
    """Put the outcome in words, with what else there is to warn of."""
    finished = finished_trials(trials)
    failed = _n_failed(trials)
    notes = [f"{failed} of {len(trials)} trials failed; their reasons are in the table."] if failed else []
    if finished.empty:
        return Verdict("No trial has finished yet", notes)
    if best is None:
        return Verdict("Too few trials for a recommendation", [_count(len(finished)), *notes])
    notes = [
        *([best.note] if best.note else []),
        *_simpler(best),
        *(best.borrowed.sentences() if best.borrowed is not None else []),
        *([_count(len(finished))] if len(finished) < FEW_TRIALS else []),
        *_measured_difference(results, landmarks),
        *warnings,
        *notes,
    ]
    return Verdict(_headline(best), notes)


def _simpler(best: "Best") -> list[str]:
    if best.simplest is None:
        return []
    cost = best.simplest.cost
    return [
        f"Simpler, and not known to be worse: {describe_weights(best.simplest.weights)}. It is expected to cost "
        f"{max(cost.mean, 0.0):.2f}, give or take {cost.sd:.2f}."
    ]


def _headline(best: "Best") -> str:
    mixture = describe_weights(best.weights)
    probability = best.prob_better_than_sparse
    if probability is None:
        return "The sparse reward itself is recommended: no mixture is expected to do better"
    if probability >= 0.95:
        return f"{mixture} beats the sparse reward (probability {describe_probability(probability)})"
    if probability >= 0.8:
        return f"{mixture} probably beats the sparse reward (probability {describe_probability(probability)})"
    return f"{mixture} cannot be told apart from the sparse reward"


def _count(n: int) -> str:
    trials = "trial has" if n == 1 else "trials have"
    return f"Only {n} {trials} finished: read the numbers as a first impression, and add trials before relying on them."


def _measured_difference(results: Mapping[int, Sequence[TrialResult]], landmarks: Landmarks) -> list[str]:
    chosen, sparse = landmarks.chosen, landmarks.corners.get("sparse")
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
        f"Measured on the same {len(difference)} prompts, trial #{chosen} ({landmarks.why}) scores "
        f"{difference.mean():+.2f} ± {sem:.2f} against the best sparse trial #{sparse}, at KL {_kl(ours):.1f} against "
        f"{_kl(theirs):.1f}. The ± is over prompts, paired; it does not contain the variance between seeds."
    ]


def _kl(seeds: Sequence[TrialResult]) -> float:
    return float(np.mean([result.kl for result in seeds]))


def _n_failed(trials: pd.DataFrame) -> int:
    return 0 if trials.empty else int(trials["status"].astype(str).str.upper().eq("FAILED").sum())
