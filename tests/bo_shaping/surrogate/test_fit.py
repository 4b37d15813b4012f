import numpy as np
import pytest

from bo_shaping import Study
from bo_shaping.surrogate.fit import Fit, Prediction
from bo_shaping.surrogate.gaussian_process import GaussianProcess
from bo_shaping.surrogate.leave_one_out import fit_of
from bo_shaping.surrogate.observations import TrialOutcome
from bo_shaping.surrogate.recommendation import Surface


def _conditional(covariance, y, i):
    """Mean and variance of y[i] given all others, the slow way."""
    others = np.delete(np.arange(len(y)), i)
    weights = np.linalg.solve(covariance[np.ix_(others, others)], covariance[others, i])
    return weights @ y[others], covariance[i, i] - weights @ covariance[others, i]


def test_leaving_one_out_is_conditioning_on_the_others():
    rng = np.random.default_rng(0)
    X = rng.uniform(size=(9, 2))
    y = 3 + 2 * np.sin(4 * X[:, 0]) + 0.1 * rng.standard_normal(9)
    process = GaussianProcess(X, y, [0, 1, 2] * 3, n_hyper=3)
    mean, sd = process.leave_one_out()
    z = (y - y.mean()) / y.std()
    covariances = [hyper.factor @ hyper.factor.T for hyper in process._hypers]
    for i in range(9):
        slow = np.array([_conditional(covariance, z, i) for covariance in covariances])
        assert mean[i] == pytest.approx(y.mean() + y.std() * slow[:, 0].mean(), abs=1e-6)
        variance = slow[:, 1].mean() + slow[:, 0].var()
        assert sd[i] == pytest.approx(y.std() * np.sqrt(variance), abs=1e-6)
    assert process.leave_one_out_error() == pytest.approx(np.sqrt(np.mean((y - mean) ** 2)))


def test_the_noise_is_that_of_the_data():
    rng = np.random.default_rng(1)
    X = np.repeat(np.linspace(0, 1, 12), 8)[:, None]
    process = GaussianProcess(X, 10 * X[:, 0] + 0.5 * rng.standard_normal(96), [0] * 96)
    noise, (low, high) = process.training_noise()
    assert noise == pytest.approx(0.5, abs=0.1)
    assert low < noise < high


def test_numbers_of_a_fit_by_hand():
    # Errors 1, -2, 0, 1; measured 0, 1, 2, 5: mean 2, sum of squares 14.
    pairs = [(0.0, -1.0), (1.0, 3.0), (2.0, 2.0), (5.0, 4.0)]
    fit = Fit([Prediction(i, 0, y, mean, 1.0) for i, (y, mean) in enumerate(pairs)], 1.0, (0.5, 1.5))
    assert fit.error == pytest.approx(np.sqrt(6 / 4))
    assert fit.spread == pytest.approx(np.sqrt(14 / 3))
    assert fit.noise_share == pytest.approx(3 / 14)
    assert fit.explained == pytest.approx(1 - 6 / 14)
    assert fit.coverage == 0.75  # 2 is beyond 1.645


def test_a_row_belongs_to_its_trial():
    arms = [{"w_shap": w, "w_lime": 1 - w, "w_sparse": 0.0, "gae_lambda": 0.9} for w in (0.0, 0.5, 1.0)]
    outcomes = {
        index: TrialOutcome(arm, [3, 4], {"reward": index}, {}, {"reward": 0.0}, {"reward": [index - 0.1, index + 0.1]})
        for index, arm in zip((0, 2, 5), arms, strict=True)
    }
    X = np.repeat([[0.0], [0.5], [1.0]], 2, axis=0)
    y = np.array([-0.1, 0.1, 1.9, 2.1, 4.9, 5.1])
    fit = fit_of(outcomes, GaussianProcess(X, y, [3, 4] * 3, n_hyper=2))
    rows = [(one.trial, one.seed, round(one.measured, 6)) for one in fit.predictions]
    assert rows == [(0, 3, -0.1), (0, 4, 0.1), (2, 3, 1.9), (2, 4, 2.1), (5, 3, 4.9), (5, 4, 5.1)]


def test_a_study_keeps_its_fit_with_the_recommendation(finished):
    fit = finished.surface().fit
    assert [one.trial for one in fit.predictions] == list(range(10))
    assert [one.measured for one in fit.predictions] == pytest.approx(list(finished.trials()["mean"]))
    again = Study.load("closed").surface()
    assert again.fit == fit
    assert Surface.from_json(again.to_json()).fit == fit
