import numpy as np
import pytest
from scipy.stats import spearmanr

from experiments.benchmarks.attribution.statistics import relative_error, spearman


def test_the_error_is_relative_to_the_length_of_the_truth():
    assert relative_error(np.array([3.0, 5.0]), np.array([3.0, 4.0])) == pytest.approx(1 / 5)


def test_rank_correlation_is_that_of_scipy_with_ties():
    left, right = np.array([1.0, 1.0, 3.0, 2.0]), np.array([0.1, 0.3, 0.2, 0.2])
    assert spearman(left, right) == pytest.approx(spearmanr(left, right).statistic)
    assert spearman(np.zeros(4), right) == 0.0
