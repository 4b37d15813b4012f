"""Scores as reward models return them: checked once, at the border."""

import math
from collections.abc import Sequence

import numpy as np

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
    try:
        given = np.asarray(scores)
        if given.dtype.kind in "US":
            raise TypeError("texts are no numbers, also those that look like some")
        values = given.astype(np.float64)
    except (TypeError, ValueError) as error:
        raise RewardModelError(f"The reward model must return one number per text, got {scores!r:.80}.") from error
    if values.shape != (len(texts),):
        what = f"{len(values)} scores" if values.ndim == 1 else f"scores of shape {values.shape}"
        raise RewardModelError(f"The reward model returned {what} for {len(texts)} texts.")
    return values.tolist()
