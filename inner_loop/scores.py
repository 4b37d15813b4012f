"""Scores as reward models return them: checked once, at the border."""

import math
from collections.abc import Sequence

from inner_loop.errors import RewardModelError


def check_scores(scores: Sequence[float], texts: Sequence[str]) -> list[float]:
    """`scores` as floats.

    Raises:
        RewardModelError: If there are not as many scores as texts, or one of them is not a finite number.
    """
    values = check_count(scores, texts)
    for index, value in enumerate(values):
        if not math.isfinite(value):
            raise RewardModelError(f"The reward model scored text {index} as {value}; the text is {texts[index]!r}.")
    return values


def check_count(scores: Sequence[float], texts: Sequence[str]) -> list[float]:
    """`scores` as floats, finite or not.

    Raises:
        RewardModelError: If there are not as many scores as texts.
    """
    values = [float(score) for score in scores]
    if len(values) != len(texts):
        raise RewardModelError(f"The reward model returned {len(values)} scores for {len(texts)} texts.")
    return values
