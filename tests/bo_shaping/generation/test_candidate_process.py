"""BoTorch's own process is the reference: what ours finds and predicts must be what that one does."""

import numpy as np
import pytest
import torch
from botorch.fit import fit_gpytorch_mll
from botorch.models import SingleTaskGP
from botorch.models.transforms.input import Normalize
from gpytorch.mlls import ExactMarginalLogLikelihood

from bo_shaping.generation import candidate_process
from bo_shaping.generation.candidate_process import LARGEST_LOGARITHM, CandidateProcess, _log_likelihood

BOUNDS = torch.tensor([[0.0, 0.0, -2.0], [1.0, 1.0, 2.0]], dtype=torch.float64)


def data(n, noise=0.3):
    """Inputs in a box and two standardised outcomes."""
    random = torch.Generator().manual_seed(n)
    X = BOUNDS[0] + (BOUNDS[1] - BOUNDS[0]) * torch.rand(n, 3, dtype=torch.float64, generator=random)
    Y = torch.stack([torch.sin(5 * X[:, 0]) - X[:, 2] ** 2, X[:, 1]], dim=1)
    Y = Y + noise * torch.randn(n, 2, dtype=torch.float64, generator=random)
    return X, (Y - Y.mean(dim=0)) / Y.std(dim=0)


def made(kind, X, Y, Yvar=None):
    return kind(X, Y, Yvar, outcome_transform=None, input_transform=Normalize(3, bounds=BOUNDS))


def fitted(kind, X, Y, Yvar=None):
    model = made(kind, X, Y, Yvar)
    fit_gpytorch_mll(ExactMarginalLogLikelihood(model.likelihood, model))
    return model


def log_density(model):
    """Of the hyper-parameters, as BoTorch has it, by outcome."""
    mll = ExactMarginalLogLikelihood(model.likelihood, model).train()
    with torch.no_grad():
        return (mll(model(*model.train_inputs), model.train_targets) * model.train_targets.shape[-1]).numpy()


@pytest.mark.parametrize("n", [9, 40])
@pytest.mark.parametrize("has_known_noise", [False, True])
def test_the_hyper_parameters_are_at_least_as_probable_as_those_that_botorch_finds(n, has_known_noise):
    X, Y = data(n)
    Yvar = (
        torch.full_like(Y, 0.05) * torch.linspace(0.5, 2, n, dtype=torch.float64)[:, None] if has_known_noise else None
    )
    ours, theirs = fitted(CandidateProcess, X, Y, Yvar), fitted(SingleTaskGP, X, Y, Yvar)
    assert not ours.training
    assert (log_density(ours) >= log_density(theirs) - 1e-3).all()


def test_one_outcome_is_fitted_as_among_several():
    X, Y = data(20)
    alone, both = fitted(CandidateProcess, X, Y[:, :1]), fitted(CandidateProcess, X, Y)
    torch.testing.assert_close(alone.covar_module.lengthscale, both.covar_module.lengthscale[0])
    torch.testing.assert_close(alone.posterior(X).mean, both.posterior(X).mean[..., :1])


def test_more_trials_than_the_fit_looks_at_leave_the_prediction_that_of_all(monkeypatch):
    monkeypatch.setattr(candidate_process, "MOST_FOR_HYPER", 15)
    X, Y = data(60)
    many, few = (
        fitted(CandidateProcess, X, Y),
        fitted(CandidateProcess, X[[0, *range(4, 59, 4), 59]], Y[[0, *range(4, 59, 4), 59]]),
    )
    assert many.posterior(X).variance.mean() < few.posterior(X).variance.mean()
    reference = made(SingleTaskGP, X, Y).eval()
    reference.load_state_dict(many.state_dict())
    torch.testing.assert_close(many.posterior(X).mean, reference.posterior(X).mean, atol=1e-7, rtol=0)


def test_the_likelihood_is_a_number_wherever_the_optimiser_may_go():
    X, y = np.random.default_rng(0).random((12, 3)), np.linspace(-1, 1, 12)
    for lengths in (-LARGEST_LOGARITHM, 0.0, LARGEST_LOGARITHM):
        value, slope = _log_likelihood(X, y, np.full(3, lengths), np.exp(LARGEST_LOGARITHM))
        assert np.isfinite(value)
        assert np.isfinite(slope).all()
