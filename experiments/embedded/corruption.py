"""Incomplete sentences, as masking and generation produce them: words removed, ends cut off."""

from __future__ import annotations

import numpy as np


def drop_words(text: str, rng: np.random.Generator) -> str:
    """Keeps every word with one probability, itself uniform in (0.1, 0.95); at least one word stays."""
    words = np.array(text.split())
    kept = rng.random(len(words)) < rng.uniform(0.1, 0.95)
    kept[rng.integers(len(words))] = True
    return " ".join(words[kept])


def drop_span(text: str, rng: np.random.Generator) -> str:
    """Removes one run of words; at least one word stays."""
    words = text.split()
    start = int(rng.integers(len(words)))
    length = int(rng.integers(1, len(words))) if len(words) > 1 else 0
    return " ".join(words[:start] + words[start + length :]) or text


def truncate(text: str, rng: np.random.Generator) -> str:
    """Keeps the first words, at least one."""
    words = text.split()
    return " ".join(words[: int(rng.integers(1, len(words) + 1))])


def corrupt(text: str, rng: np.random.Generator) -> str:
    """One of the three corruptions; words are dropped half of the time."""
    corruption = rng.choice([drop_words, drop_words, drop_span, truncate])
    return corruption(text, rng)
