"""Noise audit: how much of what tells trials apart is the luck of a training, and what one more training would tell."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bo_shaping.surrogate.fit import Z_90
from bo_shaping.text.wording import percent

if TYPE_CHECKING:
    from bo_shaping.surrogate.fit import Fit
    from bo_shaping.surrogate.recommendation import Best


@dataclass(frozen=True)
class Repeats:
    """Trainings of arms that were run more than once."""

    n_arms: int
    n_trainings: int
    deviation: float
    """Between trainings of one arm: the root of the pooled variance."""


def repeats_of(values: Sequence[Sequence[float]]) -> Repeats | None:
    """The pooled deviation within arms, given the outcomes of each arm; None if no arm was run twice.

    >>> repeats_of([(1.0, 3.0), (5.0,), (2.0, 2.0, 2.0)])
    Repeats(n_arms=2, n_trainings=5, deviation=0.816496580927726)
    """
    repeated = [column for column in values if len(column) > 1]
    freedom = sum(len(column) - 1 for column in repeated)
    if not freedom:
        return None
    squares = sum((value - math.fsum(column) / len(column)) ** 2 for column in repeated for value in column)
    return Repeats(len(repeated), sum(map(len, repeated)), math.sqrt(squares / freedom))


def after_repeats(sd: float, noise: float, n: int) -> float:
    """Standard deviation of an arm's expected reward after `n` more trainings of it, by Bayes' rule for normals.

    Args:
        sd: Before.
        noise: Standard deviation of one training.
        n: How many.
    """
    if sd == 0 or noise == 0:
        return 0.0
    return 1 / math.sqrt(1 / sd**2 + n / noise**2)


def repeats_needed(sd: float, noise: float, target: float) -> int:
    """Fewest further trainings after which the standard deviation is at most `target`."""
    if sd <= target:
        return 0
    return math.ceil(noise**2 * (1 / target**2 - 1 / sd**2) - 1e-9)


def noise_sentences(fit: "Fit", best: "Best", measured: Repeats | None) -> list[str]:
    """The audit in words."""
    low, high = fit.noise_interval
    sd = (best.mean_interval[1] - best.mean_interval[0]) / (2 * Z_90)
    after = after_repeats(sd, fit.noise, 1)
    sentences = [
        "Two trainings with the same weights differ by chance: one training has a standard deviation of "
        f"{fit.noise:.2f} "
        f"({low:.2f} to {high:.2f}), all {len(fit.predictions)} trainings of the study have {fit.spread:.2f}. So about "
        f"{percent(fit.noise_share)} of the variance between trials is noise, and the rest is what weights and "
        "parameters do."
    ]
    if measured is not None:
        sentences.append(
            f"Measured directly, on {measured.n_trainings} trainings of {measured.n_arms} "
            f"arm{'' if measured.n_arms == 1 else 's'} run more than "
            f"once, the standard deviation of one training is {measured.deviation:.2f}."
        )
    else:
        sentences.append("No arm was run more than once, so the noise is inferred from neighbours, not measured.")
    if sd > 0:
        sentences.append(
            f"The expected reward of the recommendation is known within ± {Z_90 * sd:.2f} (90 %); one more "
            "training of it "
            f"would make that ± {Z_90 * after:.2f}, and {repeats_needed(sd, fit.noise, sd / 2)} more would halve it."
        )
    return sentences
