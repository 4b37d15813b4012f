"""BoTorch's own acquisition function is the reference: values, gradients and what it falls back to."""

import pytest
import torch
from botorch.acquisition.logei import qLogNoisyExpectedImprovement
from botorch.acquisition.objective import GenericMCObjective
from botorch.models import ModelListGP
from botorch.models.transforms.outcome import Standardize
from botorch.sampling.normal import SobolQMCNormalSampler

from bo_shaping.generation.candidate_process import CandidateProcess
from bo_shaping.generation.noisy_improvement import NoisyImprovement
from tests.bo_shaping.generation.test_candidate_process import data, fitted

N = 25
ONE = GenericMCObjective(lambda samples, X=None: samples[..., 0])


def keeps_below(limit):
    return lambda samples: samples[..., 1] - limit


def pair(model, X, **options):
    """Ours and BoTorch's, of the same draws and all points of the baseline."""
    made = []
    for kind in (NoisyImprovement, qLogNoisyExpectedImprovement):
        sampler = SobolQMCNormalSampler(torch.Size([64]), seed=3)
        torch.manual_seed(0)
        made.append(kind(model, X, sampler=sampler, prune_baseline=False, **{"objective": ONE, **options}))
    return made


def assert_same(ours, theirs, X):
    left, right = X.clone().requires_grad_(), X.clone().requires_grad_()
    values, expected = ours(left), theirs(right)
    torch.testing.assert_close(values, expected, atol=1e-6, rtol=1e-6)
    values.sum().backward()
    expected.sum().backward()
    torch.testing.assert_close(left.grad, right.grad, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("n_outcomes", [1, 2])
@pytest.mark.parametrize("is_noise_known", [False, True])
@pytest.mark.parametrize("has_pending", [False, True])
def test_values_and_gradients_are_those_of_botorch(n_outcomes, is_noise_known, has_pending):
    X, Y = data(N)
    Y = Y[:, :n_outcomes]
    Yvar = 0.05 * torch.linspace(0.5, 2, N, dtype=torch.float64)[:, None].expand_as(Y) if is_noise_known else None
    model = fitted(CandidateProcess, X, Y, Yvar)
    points = data(40)[0]
    limits = [keeps_below(0.3)] if n_outcomes == 2 else None
    ours, theirs = pair(model, X, constraints=limits, X_pending=points[:3] if has_pending else None)
    assert_same(ours, theirs, points[3:].unsqueeze(1))


def test_the_baseline_is_the_points_that_may_be_the_best():
    X, Y = data(N)
    model = fitted(CandidateProcess, X, Y, torch.full_like(Y, 0.5))
    torch.manual_seed(0)
    ours = NoisyImprovement(model, X, objective=ONE, constraints=[keeps_below(1.0)])
    draws = model.posterior(X).sample(torch.Size([4096]))
    worth = draws[..., 0].where(draws[..., 1] < 1.0, -torch.inf)
    chances = torch.nn.functional.one_hot(worth.argmax(-1), N).double().mean(0)
    is_kept = (X.unsqueeze(1) == ours._X_baseline).all(-1).any(-1)
    assert int((chances > 0.02).sum()) > 2
    assert is_kept[chances > 0.02].all()
    assert int(is_kept.sum()) < N / 2
    before = ours._X_baseline
    ours.set_X_pending(data(40)[0][:3])
    torch.testing.assert_close(ours._X_baseline, before)


def test_points_that_become_pending_later_count(monkeypatch):
    X, Y = data(N)
    points = data(40)[0]
    ours, theirs = pair(fitted(CandidateProcess, X, Y[:, :1]), X)
    before = ours(points.unsqueeze(1)).detach()
    for one in (ours, theirs):
        torch.manual_seed(1)
        one.set_X_pending(points[:5])
    assert_same(ours, theirs, points[5:].unsqueeze(1))
    assert not torch.allclose(ours(points.unsqueeze(1)), before)
    for one in (ours, theirs):
        torch.manual_seed(1)
        one.set_X_pending(None)
    assert_same(ours, theirs, points.unsqueeze(1))


def test_botorch_is_not_asked_for_the_posterior_of_a_candidate(monkeypatch):
    X, Y = data(N)
    model = fitted(CandidateProcess, X, Y[:, :1])
    ours, _ = pair(model, X)
    candidates = data(40)[0].unsqueeze(1)
    before = ours(candidates)
    monkeypatch.setattr(CandidateProcess, "posterior", None)
    torch.testing.assert_close(ours(candidates), before)


def test_beside_an_observation_without_noise_values_are_finite():
    X, Y = data(N)
    model = fitted(CandidateProcess, X, Y[:, :1], torch.full_like(Y[:, :1], 1e-8))
    ours, _ = pair(model, X)
    values = ours(X.unsqueeze(1).requires_grad_())
    values.sum().backward()
    assert torch.isfinite(values).all()


@pytest.mark.parametrize("case", ["two at once", "several models", "standardised outcomes"])
def test_what_is_not_ours_is_left_to_botorch(case):
    X, Y = data(N)
    points = data(40)[0]
    if case == "several models":
        model = ModelListGP(fitted(CandidateProcess, X, Y[:, :1]), fitted(CandidateProcess, X[3:], Y[3:, 1:]))
    elif case == "standardised outcomes":
        model = CandidateProcess(X, 3 + 2 * Y, outcome_transform=Standardize(2)).eval()
    else:
        model = fitted(CandidateProcess, X, Y)
    ours, theirs = pair(model, X)
    assert_same(ours, theirs, points.reshape(20, 2, 3) if case == "two at once" else points.unsqueeze(1))
