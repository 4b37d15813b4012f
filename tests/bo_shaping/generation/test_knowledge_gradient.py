import numpy as np
import pytest
import torch
from botorch.models import SingleTaskGP
from scipy.stats import norm

from bo_shaping.generation.knowledge_gradient import LatticeKnowledgeGradient
from bo_shaping.generation.strategy import new_client, new_experiment, propose
from tests.bo_shaping import closed_form


@pytest.fixture
def model():
    """A process of two metrics with known hyper-parameters."""
    rng = np.random.default_rng(0)
    X = torch.tensor(rng.uniform(size=(6, 2)))
    Y = torch.stack([torch.sin(4 * X[:, 0]), X[:, 1]], dim=1)
    model = SingleTaskGP(X, Y, outcome_transform=None)
    model.likelihood.noise = torch.full((2, 1), 0.1)
    return model.eval()


LATTICE = torch.tensor([[0.1, 0.2], [0.9, 0.8]], dtype=torch.float64)


def closed_form_gain(model, X, noise=0.1):
    """E max(a, b) - max of two jointly normal posterior means, by Clark's formula."""
    posterior = model.subset_output([0]).posterior(torch.cat([X, LATTICE]))
    mean, covariance = posterior.mean.detach().squeeze(-1).numpy(), posterior.covariance_matrix.detach().numpy()
    spread = covariance[0, 1:] / np.sqrt(covariance[0, 0] + noise)
    gap, width = mean[1] - mean[2], abs(spread[0] - spread[1])
    expected = mean[1] * norm.cdf(gap / width) + mean[2] * norm.cdf(-gap / width) + width * norm.pdf(gap / width)
    return expected - mean[1:].max()


def test_the_gain_is_that_of_clarks_formula(model):
    # A candidate on the lattice, so that its own mean adds nothing.
    for X in LATTICE.split(1):
        gain = LatticeKnowledgeGradient(model, LATTICE, outcome=0)(X.unsqueeze(0)).item()
        assert gain == pytest.approx(closed_form_gain(model, X), rel=0.05)


def test_a_pending_trial_takes_away_what_it_will_tell(model):
    X = LATTICE[:1].unsqueeze(0)
    alone = LatticeKnowledgeGradient(model, LATTICE, outcome=0)
    beside = LatticeKnowledgeGradient(model, LATTICE, outcome=0, X_pending=LATTICE[:1])
    assert 0 < beside(X).item() < 0.6 * alone(X).item()


def test_points_that_break_a_constraint_are_not_recommended(model):
    # The second metric is x_1: only the first lattice point keeps it below 0.5.
    constrained = LatticeKnowledgeGradient(model, LATTICE, outcome=0, constraints=[lambda Y: Y[..., 1] - 0.5])
    single = LatticeKnowledgeGradient(model, LATTICE[:1], outcome=0)
    kept, broken = torch.tensor([[[0.4, 0.3]], [[0.9, 0.9]]], dtype=torch.float64).split(1)
    means = [model.posterior(X).mean[0, 0, 1].item() for X in (kept, broken)]
    assert means[0] < 0.5 < means[1]
    assert constrained(kept).item() == pytest.approx(single(kept).item())
    # Nor is the candidate itself: with one point that may be recommended, there is nothing to choose.
    assert single(broken).item() > 0.001
    assert constrained(broken).item() == pytest.approx(0.0, abs=0.001)


def test_a_study_can_be_run_with_it(make_config):
    config = make_config(design={"acquisition": "kg"}, budget={"trials": 50})
    client = new_client(new_experiment(config))
    for _ in range(8):
        index = propose(client, config)
        arm = client._experiment.trials[index].arm.parameters
        weights = {name: arm[f"w_{name}"] for name in ("shap", "lime", "sparse")}
        outcome = {"reward": closed_form.reward(weights, arm["gae_lambda"]), "kl": 5.0}
        client.complete_trial(index, outcome)
    plain = new_client(client._experiment)
    other = propose(plain, make_config(budget={"trials": 50}))
    arms = [client._experiment.trials[i].arm.parameters for i in (7, other)]
    assert sum(arms[0][f"w_{name}"] for name in ("shap", "lime", "sparse")) == pytest.approx(1, abs=1e-9)
