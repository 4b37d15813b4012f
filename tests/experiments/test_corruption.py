"""Corrupted sentences keep words of the original, in order."""

import numpy as np
import pytest

from experiments.embedded.corruption import corrupt, drop_span, drop_words, truncate

SENTENCE = "one two three four five six seven eight nine ten"


def is_subsequence(part, whole):
    remaining = iter(whole)
    return all(word in remaining for word in part)


@pytest.mark.parametrize("corruption", [drop_words, drop_span, truncate, corrupt])
@pytest.mark.parametrize("text", [SENTENCE, "alone"])
def test_what_is_left_is_a_non_empty_subsequence(corruption, text):
    rng = np.random.default_rng(0)
    for _ in range(200):
        left = corruption(text, rng).split()
        assert left
        assert is_subsequence(left, text.split())


@pytest.mark.parametrize("corruption", [drop_words, drop_span, truncate, corrupt])
def test_lengths_vary(corruption):
    rng = np.random.default_rng(0)
    lengths = {len(corruption(SENTENCE, rng).split()) for _ in range(300)}
    assert min(lengths) <= 2
    assert max(lengths) >= 9


def test_a_seed_repeats_the_corruptions():
    first, second = (
        [corrupt(SENTENCE, rng) for _ in range(20)] for rng in (np.random.default_rng(3), np.random.default_rng(3))
    )
    assert first == second
