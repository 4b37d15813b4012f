import numpy as np
import pytest
import torch
from gpytorch.kernels import MaternKernel, ScaleKernel

from bo_shaping.surrogate import gaussian_process
from bo_shaping.surrogate.gaussian_process import GaussianProcess


def data(n=12, d=3, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.uniform(size=(n, d))
    return X, np.sin(3 * X[:, 0]) + X[:, 1] ** 2 + 5.0


def single(X, y, monkeypatch, seeds=None, **options):
    """A process with one known draw of the hyper-parameters: the prior is made a point."""
    for name in ("LENGTH_PRIOR", "SIGNAL_PRIOR", "NOISE_PRIOR", "SEED_PRIOR", "SLOPE_PRIOR"):
        center, _ = getattr(gaussian_process, name)
        monkeypatch.setattr(gaussian_process, name, (center, 0.0))
    return GaussianProcess(X, y, seeds or [0] * len(y), n_hyper=1, **options)


def test_moments_are_those_of_an_independent_implementation(monkeypatch):
    X, y = data()
    at = np.random.default_rng(1).uniform(size=(20, 3))
    mean, sd = single(X, y, monkeypatch).moments(at)

    standard = torch.tensor((y - y.mean()) / y.std())[:, None]
    kernel = ScaleKernel(MaternKernel(nu=2.5, ard_num_dims=3))
    length, signal, noise = (
        np.exp(getattr(gaussian_process, name)[0]) for name in ("LENGTH_PRIOR", "SIGNAL_PRIOR", "NOISE_PRIOR")
    )
    kernel.base_kernel.lengthscale, kernel.outputscale = length, signal
    # A constant mean with a wide prior is a constant added to the kernel.
    constant = gaussian_process.MEAN_VARIANCE
    X_, at_ = torch.tensor(X), torch.tensor(at)
    with torch.no_grad():
        K = kernel(X_, X_).to_dense().double() + constant + (noise + gaussian_process.JITTER) * torch.eye(len(X))
        cross = kernel(at_, X_).to_dense().double() + constant
        expected = cross @ torch.linalg.solve(K, standard)
        variance = signal + constant - (cross * torch.linalg.solve(K, cross.T).T).sum(dim=1)
    np.testing.assert_allclose(mean, y.mean() + y.std() * expected.squeeze().numpy(), rtol=1e-5)
    np.testing.assert_allclose(sd, y.std() * variance.sqrt().numpy(), rtol=1e-4)


def test_the_mean_of_several_trainings_has_its_share_of_the_noise(monkeypatch):
    X, y = data()
    n_trainings = np.array([1, 4] * 6)
    at = np.random.default_rng(1).uniform(size=(20, 3))
    process = single(X, y, monkeypatch, n_trainings=n_trainings)
    known = y.var() * np.exp(gaussian_process.NOISE_PRIOR[0]) / n_trainings
    twin = single(X, y, monkeypatch, known=known, learn_noise=False)
    np.testing.assert_allclose(process.moments(at), twin.moments(at), rtol=1e-9)
    np.testing.assert_allclose(process.draws(at, 64), twin.draws(at, 64), rtol=1e-9)


def test_draws_have_the_moments_of_the_posterior_and_its_correlations(monkeypatch):
    monkeypatch.setattr(gaussian_process, "N_FEATURES", 2000)
    X, y = data()
    at = np.random.default_rng(1).uniform(size=(8, 3))
    process = single(X, y, monkeypatch)
    mean, sd = process.moments(at)
    draws = process.draws(at, 20_000)
    np.testing.assert_allclose(draws.mean(axis=0), mean, atol=4 * sd.max() / 20_000**0.5)
    np.testing.assert_allclose(draws.std(axis=0), sd, rtol=0.08)
    twin = at[[0]] + 1e-4
    close = process.draws(np.vstack([at[[0]], twin]), 2000)
    assert np.corrcoef(close.T)[0, 1] > 0.999


def test_noise_and_signal_are_found_in_enough_data():
    rng = np.random.default_rng(0)
    X, y = data(n=80)
    process = GaussianProcess(X, y + 0.2 * rng.normal(size=80), [0] * 80)
    variances = [hyper.noise for hyper in process._hypers]
    assert process._scale * np.sqrt(np.mean(variances)) == pytest.approx(0.2, abs=0.05)
    at = rng.uniform(0.1, 0.9, size=(50, 3))
    truth = np.sin(3 * at[:, 0]) + at[:, 1] ** 2 + 5.0
    assert np.abs(process.mean(at) - truth).mean() < 0.1


def test_effects_of_seeds_are_recovered_and_correlation_is_the_share_of_variance():
    rng = np.random.default_rng(0)
    X, y = data(n=40)
    effects = {0: -0.6, 1: 0.1, 2: 0.5, 3: 0.0}
    seeds = [i % 4 for i in range(40)]
    noisy = y + np.array([effects[seed] for seed in seeds]) + 0.1 * rng.normal(size=40)
    process = GaussianProcess(X, noisy, seeds)
    found = process.seed_effects()
    # Only differences between seeds can be known: their mean is the constant's.
    offset = np.mean(list(found.values())) - np.mean(list(effects.values()))
    assert {seed: value - offset for seed, value in found.items()} == pytest.approx(effects, abs=0.12)
    assert process.seed_correlation()[0] > 0.75


def test_without_evidence_effects_of_seeds_shrink_to_nothing():
    rng = np.random.default_rng(3)
    X, y = data(n=40)
    process = GaussianProcess(X, y + 0.3 * rng.normal(size=40), [i % 4 for i in range(40)])
    assert max(map(abs, process.seed_effects().values())) < 0.12
    correlation, sd = process.seed_correlation()
    assert correlation < 0.3
    assert correlation - 2 * sd < 0.05


def test_one_seed_has_no_effect_and_equal_arguments_give_equal_numbers():
    X, y = data()
    process, twin = (GaussianProcess(X, y, [7] * len(y)) for _ in range(2))
    assert process.seed_effects() == {7: 0.0}
    np.testing.assert_array_equal(process.draws(X, 32), twin.draws(X, 32))


@pytest.mark.parametrize("y", [np.ones(5), np.array([1.0, 1.0, 1.0, 1.0, 1.0 + 1e-12])])
def test_equal_outcomes_give_finite_numbers(y):
    X = np.random.default_rng(0).uniform(size=(5, 2))
    process = GaussianProcess(X, y, [0] * 5)
    mean, sd = process.moments(X)
    assert np.isfinite(sd).all()
    np.testing.assert_allclose(mean, 1.0, atol=1e-6)


def waves(X):
    """Two surfaces of older tasks."""
    return np.stack([np.sin(6 * X[:, 0]), X[:, 1] * X[:, 2]], axis=1)


def test_older_surfaces_are_inputs_whose_slopes_have_a_normal_prior(monkeypatch):
    X, y = data()
    at = np.random.default_rng(1).uniform(size=(20, 3))
    process = single(X, y, monkeypatch, older=waves)
    mean, sd = process.moments(at)
    length, signal, noise, slope = (
        np.exp(getattr(gaussian_process, f"{name}_PRIOR")[0]) for name in ("LENGTH", "SIGNAL", "NOISE", "SLOPE")
    )

    def k(A, B):
        distance = np.sqrt(5) * np.linalg.norm(A[:, None] - B[None], axis=2) / length
        own = signal * (1 + distance + distance**2 / 3) * np.exp(-distance)
        return own + gaussian_process.MEAN_VARIANCE + slope * waves(A) @ waves(B).T

    K = k(X, X) + (noise + gaussian_process.JITTER) * np.eye(len(X))
    expected = k(at, X) @ np.linalg.solve(K, (y - y.mean()) / y.std())
    variance = np.diagonal(k(at, at) - k(at, X) @ np.linalg.solve(K, k(X, at)))
    np.testing.assert_allclose(mean, y.mean() + y.std() * expected, rtol=1e-6)
    np.testing.assert_allclose(process.mean(at), mean, rtol=1e-9)
    np.testing.assert_allclose(sd, y.std() * np.sqrt(variance), rtol=1e-5)
    monkeypatch.setattr(gaussian_process, "N_FEATURES", 2000)
    draws = process.draws(at, 4000)
    np.testing.assert_allclose(draws.mean(axis=0), mean, atol=0.1 * sd.max())
    np.testing.assert_allclose(draws.std(axis=0), sd, rtol=0.15)


def test_a_surface_that_is_alike_predicts_where_nothing_was_tried_and_another_one_does_not_mislead():
    rng = np.random.default_rng(3)
    X, at = rng.uniform(size=(6, 3)), rng.uniform(size=(200, 3))

    def truth(X):
        return np.sin(6 * X[:, 0]) - 2 * X[:, 1] ** 2

    y = 3 + 2 * truth(X) + 0.1 * rng.normal(size=len(X))
    errors = {}
    for name, older in (
        ("none", None),
        ("alike", lambda X: truth(X)[:, None]),
        ("other", lambda X: np.cos(9 * X[:, 2:] + 1)),
    ):
        process = GaussianProcess(X, y, [0] * 6, older=older)
        errors[name] = np.sqrt(np.mean((process.mean(at) - 3 - 2 * truth(at)) ** 2))
    assert errors["alike"] < 0.3 * errors["none"]
    assert errors["other"] < 1.1 * errors["none"]


def test_the_error_of_what_is_left_out_is_that_of_processes_without_it(monkeypatch):
    X, y = data()
    # The standardisation of all outcomes, so that what is left out does not move it.
    y = (y - y.mean()) / y.std()
    process = single(X, y, monkeypatch)
    length, signal, noise = (
        np.exp(getattr(gaussian_process, f"{name}_PRIOR")[0]) for name in ("LENGTH", "SIGNAL", "NOISE")
    )

    def k(A, B):
        distance = np.sqrt(5) * np.linalg.norm(A[:, None] - B[None], axis=2) / length
        return signal * (1 + distance + distance**2 / 3) * np.exp(-distance) + gaussian_process.MEAN_VARIANCE

    squares = []
    for i in range(len(y)):
        rest = np.arange(len(y)) != i
        K = k(X[rest], X[rest]) + (noise + gaussian_process.JITTER) * np.eye(rest.sum())
        squares.append((y[i] - (k(X[i : i + 1], X[rest]) @ np.linalg.solve(K, y[rest]))[0]) ** 2)
    assert process.leave_one_out_error() == pytest.approx(np.sqrt(np.mean(squares)), rel=1e-6)


def test_many_observations_are_all_conditioned_on_while_some_tell_the_hyper_parameters(monkeypatch):
    X, truth = data(n=160, d=2, seed=3)
    y = truth + 0.2 * np.random.default_rng(4).standard_normal(160)
    at = np.random.default_rng(5).uniform(0.1, 0.9, size=(40, 2))
    whole, whole_sd = GaussianProcess(X, y, [0] * 160).moments(at)
    monkeypatch.setattr(gaussian_process, "MOST_FOR_HYPER", 60)
    thinned, thinned_sd = GaussianProcess(X, y, [0] * 160).moments(at)
    assert np.abs(thinned - whole).max() < whole_sd.mean()
    few = np.linspace(0, 159, 60).round().astype(int)
    _, few_sd = GaussianProcess(X[few], y[few], [0] * 60).moments(at)
    # A third of the data alone would leave more unknown.
    assert thinned_sd.mean() < 0.85 * few_sd.mean()
    assert thinned_sd.mean() == pytest.approx(whole_sd.mean(), rel=0.25)
