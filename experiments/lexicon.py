"""VADER as a gold reward model: a lexicon that people rated by hand, on which no model of ours was trained.

Name it in a configuration as `evaluation: {gold: {lexicon: experiments.lexicon:score}}`. Hutto and Gilbert 2014; the
package vaderSentiment (MIT), of the extra `models`.
"""

from collections.abc import Sequence
from functools import lru_cache
from typing import Any


def score(texts: Sequence[str]) -> list[float]:
    """The compound sentiment of each text, from -1 to 1."""
    return [float(_analyser().polarity_scores(text)["compound"]) for text in texts]


@lru_cache(maxsize=1)
def _analyser() -> Any:
    from vaderSentiment.vaderSentiment import SentimentIntensityAnalyzer

    return SentimentIntensityAnalyzer()
