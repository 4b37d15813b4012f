"""Headlines as a gold reward for summaries: what a person wrote, and neither the policy nor the reward model has read.

    score = F1 of the words of summary and headline (ROUGE-1; Lin 2004), without scikit-learn's English stop words

A headline is five words and witty at times, so a good summary scores 0.2 rather than 1. Name it in a configuration as
`evaluation: {gold: {headline: experiments.headlines:score}}`; the headlines come with `python -m experiments.articles`.
"""

import json
import re
from collections import Counter
from collections.abc import Sequence
from functools import lru_cache

from sklearn.feature_extraction.text import ENGLISH_STOP_WORDS

from experiments.articles import ASKS, FILE, article_and_summary


def score(texts: Sequence[str]) -> list[float]:
    """How much each text, an article, `TL;DR:` and its summary, has in common with the article's headline: 0 to 1.

    Raises:
        ValueError: If the headline of an article is not known.
    """
    parts = [article_and_summary(text) for text in texts]
    if unknown := [article for article, _ in parts if article not in _headlines()]:
        raise ValueError(
            f"{FILE} has no headline of the article {unknown[0][:60]!r}; make it again: python -m experiments.articles"
        )
    return [overlap(summary, _headlines()[article]) for article, summary in parts]


def overlap(summary: str, headline: str) -> float:
    """F1 of the words of both; 0 if either has none.

    >>> overlap("Profits at Time Warner rose.", "Ad sales boost Time Warner profit")
    0.4
    """
    said, wanted = _words(summary), _words(headline)
    n_words = said.total() + wanted.total()
    return 2 * (said & wanted).total() / n_words if n_words else 0.0


def _words(text: str) -> Counter[str]:
    words = re.findall(r"[a-z0-9]+", re.sub(r"['’](s\b)?", "", text.lower()))
    return Counter(word for word in words if word not in ENGLISH_STOP_WORDS)


@lru_cache(maxsize=1)
def _headlines() -> dict[str, str]:
    """The headline of each article as it stands in a prompt."""
    lines = map(json.loads, FILE.read_text(encoding="utf-8").splitlines())
    return {line["prompt"].removesuffix(ASKS): line["headline"] for line in lines if "headline" in line}
