import numpy as np
import pytest

from experiments.benchmarks.intervals import bootstrap, bootstrap_median_difference


def test_the_interval_of_a_median_comes_from_the_texts_not_from_their_seeds():
    texts = np.arange(20.0)[:, None]
    once, often = bootstrap(texts), bootstrap(np.repeat(texts, 50, axis=1))
    assert once.value == often.value == 9.5
    assert (often.low, often.high) == pytest.approx((once.low, once.high), abs=1.0)
    assert once.high - once.low > 5


def test_a_difference_is_taken_on_the_same_texts():
    theirs = np.random.default_rng(0).uniform(size=(20, 1))
    gap = bootstrap_median_difference(theirs - 0.1, np.repeat(theirs, 3, axis=1))
    assert (gap.value, gap.low, gap.high) == pytest.approx((-0.1, -0.1, -0.1))
