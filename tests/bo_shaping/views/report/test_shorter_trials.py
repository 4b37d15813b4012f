import numpy as np
import pytest
from scipy.stats import spearmanr

from bo_shaping.views.report.shorter_trials import rank_correlation, rank_correlation_sentences, spearman
from inner_loop.spec import CurvePoint


def _curve(*means, every=2):
    return [
        CurvePoint(step=every * i, mean=mean, sem=0.1, kl=i, kl_k3=i, entropy=1, length=9, distinct_2=1)
        for i, mean in enumerate(means)
    ]


def test_it_is_scipys_correlation_ties_included():
    rng = np.random.default_rng(0)
    columns, end = rng.integers(4, size=(12, 5)).astype(float), rng.integers(5, size=12).astype(float)
    assert spearman(columns, end) == pytest.approx([spearmanr(column, end).statistic for column in columns.T])


def test_a_constant_says_nothing():
    assert spearman(np.array([[1.0], [1.0], [1.0]]), np.arange(3.0)) == pytest.approx([0])


def test_curves_that_cross_once_rank_from_there_on():
    # At step 2 the order is reversed, at step 4 and 6 it is that of the end.
    curves = {i: _curve(0, -i, i, i) for i in range(6)}
    found = rank_correlation(curves, {i: float(i) for i in range(6)})
    assert list(found.steps) == [2, 4, 6]
    assert found.values == pytest.approx([-1, 1, 1])
    assert found.enough_from == 4
    assert "From step 4 of 6" in rank_correlation_sentences(found)[0]
    assert "67 %" in rank_correlation_sentences(found)[0]
    assert (found.low <= found.values + 1e-9).all()
    assert (found.high >= found.values - 1e-9).all()


def test_only_the_last_step_is_no_shorter_trial():
    found = rank_correlation({i: _curve(0, -i, -i, i) for i in range(6)}, {i: float(i) for i in range(6)})
    assert found.enough_from is None
    assert "at no step before 6" in rank_correlation_sentences(found)[0]


def test_a_curve_that_ended_early_keeps_its_last_reward():
    curves = {i: _curve(0, i, i) for i in range(5)} | {5: _curve(0, 9)}
    found = rank_correlation(curves, {i: float(i) for i in range(6)})
    assert found.values == pytest.approx([1, 1])
    assert found.n_trials == 6


def test_few_trials_or_trials_without_an_end_are_none():
    curves = {i: _curve(0, i) for i in range(6)}
    assert rank_correlation(curves, dict.fromkeys(range(4), 1.0)) is None
