"""What the study cost: seconds and evaluations of the reward model per trial, and where the seconds went."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median

from bo_shaping.text.wording import percent
from inner_loop.spec import TrialResult


@dataclass(frozen=True)
class Cost:
    """Seconds and evaluations of completed trials."""

    seconds: list[float]
    """One per trial, its seeds together."""
    evaluations: list[int]
    """Responses that the reward model scored, one number per trial."""
    phases: dict[str, float]
    """Seconds by phase of all trials."""


def cost_of(results: Mapping[int, Sequence[TrialResult]]) -> Cost:
    """The cost of what the inner loop returned, by trial."""
    phases: dict[str, float] = {}
    for result in (result for seeds in results.values() for result in seeds):
        for phase, seconds in result.seconds.items():
            phases[phase] = phases.get(phase, 0.0) + seconds
    return Cost(
        [sum(sum(result.seconds.values()) for result in seeds) for seeds in results.values()],
        [sum(step.n_evaluations for result in seeds for step in result.steps) for seeds in results.values()],
        phases,
    )


def cost_sentences(cost: Cost) -> list[str]:
    """The cost in words."""
    if not cost.seconds:
        return []
    total = sum(cost.seconds)
    sentences = [
        f"{len(cost.seconds)} completed trials took {duration(total)} of training in all; one takes "
        f"{duration(median(cost.seconds))} (median; {duration(min(cost.seconds))} to {duration(max(cost.seconds))})."
    ]
    if any(cost.evaluations):
        sentences.append(
            f"The reward model was asked {sum(cost.evaluations):,} times, {median(cost.evaluations):,.0f} times "
            "per trial "
            f"(median; {min(cost.evaluations):,} to {max(cost.evaluations):,}): scores and credit of what is "
            "trained on."
        )
    if total > 0 and len(cost.phases) > 1:
        shares = sorted(cost.phases.items(), key=lambda item: -item[1])
        sentences.append(
            "Of the seconds: " + ", ".join(f"{name} {percent(value / total)}" for name, value in shares) + "."
        )
    return sentences


def duration(seconds: float) -> str:
    """Seconds as a person says it.

    >>> [duration(value) for value in (4.24, 61.0, 5400.0)]
    ['4.2 s', '61 s', '90 min']
    """
    if seconds < 10:
        return f"{seconds:.1f} s"
    if seconds < 120:
        return f"{seconds:.0f} s"
    if seconds < 3 * 3600:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"
