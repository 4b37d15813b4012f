"""Surfaces of older tasks: what they are, where they put the first arms, and what is said of them in the end."""

import numpy as np
import pytest
import torch

from bo_shaping.generation.design import initial_design
from bo_shaping.generation.older_kernel import OlderSurfacesKernel, WithOlderSurfaces
from bo_shaping.generation.strategy import fit_strategy, new_client, new_experiment
from bo_shaping.libraries.ax_internals import strategy_of
from bo_shaping.space.arms import from_arm
from bo_shaping.space.encoding import axes_of, encode
from bo_shaping.space.lattice import random_arms
from bo_shaping.surrogate.older_surfaces import older_best, older_surfaces
from tests.bo_shaping.closed_form import OPTIMUM, kl, reward


def task(n=20, *, source="older", sign=1.0, with_kl=True, seed=0):
    """Trials of a task whose reward is that of the closed form, moved and scaled."""
    rng = np.random.default_rng(seed)
    trials = []
    for weights, gae_lambda in zip(rng.dirichlet(np.ones(3), n), rng.uniform(0.5, 1, n), strict=True):
        named = dict(zip(("shap", "lime", "sparse"), weights.tolist(), strict=True))
        outcomes = {"reward": 5 + sign * 3 * reward(named, gae_lambda)}
        outcomes |= {"kl": kl(named, gae_lambda)} if with_kl else {}
        trials.append({"weights": named, "parameters": {"gae_lambda": float(gae_lambda)}, "outcomes": outcomes})
    return {"source": source, "differs": ["ppo.steps is 1 there and 2 here"], "trials": trials}


def points(n=50, seed=1):
    rng = np.random.default_rng(seed)
    return np.hstack([rng.dirichlet(np.ones(3), n), rng.uniform(size=(n, 1))])


def test_a_surface_is_what_its_trials_say_in_units_of_their_spread(make_config):
    config = make_config(related=[task(), task(source="flat", sign=0.0)])
    surfaces = older_surfaces(config.related, axes_of(config.search_space), "reward")
    assert surfaces.sources == ["older", "flat"]
    X = points()
    values = surfaces(X)
    truth = [reward(dict(zip(("shap", "lime", "sparse"), x[:3], strict=True)), 0.5 + 0.5 * x[3]) for x in X]
    assert np.corrcoef(values[:, 0], truth)[0, 1] > 0.9
    spread = np.std([trial.outcomes["reward"] for trial in config.related[0].trials])
    slope = np.polyfit(truth, values[:, 0], 1)[0]
    assert slope == pytest.approx(3 / spread, rel=0.25)
    np.testing.assert_allclose(values[:, 1], 0.0, atol=1e-6)
    assert older_surfaces(config.related, axes_of(config.search_space), "length") is None


def test_ax_is_given_the_same_surfaces_and_can_follow_their_gradient(make_config):
    config = make_config(related=[task(), task(source="upside down", sign=-1.0)])
    surfaces = older_surfaces(config.related, axes_of(config.search_space), "reward")
    kernel = OlderSurfacesKernel(surfaces.processes)
    X = torch.tensor(points(), requires_grad=True)
    np.testing.assert_allclose(kernel.surfaces(X).detach().numpy(), surfaces(X.detach().numpy()), atol=1e-9)
    other = torch.tensor(points(7, seed=2))
    expected = (kernel.surfaces(X) * kernel.slopes) @ kernel.surfaces(other).T
    torch.testing.assert_close(kernel(X, other).to_dense(), expected)
    torch.testing.assert_close(kernel(X, diag=True), kernel(X, X).to_dense().diagonal())
    batched = kernel.surfaces(X.reshape(5, 10, 4))
    torch.testing.assert_close(batched.reshape(50, 2), kernel.surfaces(X))
    # Also where a point is one that was tried, where a distance has no derivative.
    tried = torch.tensor(surfaces.processes[0].mean_terms()[0], requires_grad=True)
    whole = WithOlderSurfaces(4, surfaces.processes)
    whole(tried, tried).to_dense().sum().backward()
    assert torch.isfinite(tried.grad).all()


def test_the_first_arms_are_sparse_the_best_of_the_older_tasks_and_the_centre(make_config):
    config = make_config(related=[task(60)], objective={"max_kl": None})
    sparse, best, centre = (from_arm(arm) for arm in initial_design(config))
    assert sparse[0]["sparse"] == 1.0
    assert all(abs(best[0][name] - weight) <= 0.15 for name, weight in OPTIMUM.items())
    assert best[1]["gae_lambda"] == pytest.approx(0.8, abs=0.1)
    assert list(centre[0].values()) == pytest.approx([1 / 3] * 3, abs=1e-6)


def test_the_best_of_an_older_task_keeps_the_limits_that_its_trials_know_of(make_config):
    limited = make_config(related=[task(60)], objective={"max_kl": 5.0, "measure": "final"})
    [arm] = older_best(limited)
    assert kl(*(part if i == 0 else part["gae_lambda"] for i, part in enumerate(from_arm(arm)))) < 5.5
    unknown = make_config(related=[task(60, with_kl=False)], objective={"max_kl": 5.0, "measure": "final"})
    free = make_config(related=[task(60)], objective={"max_kl": None})
    assert older_best(unknown) == older_best(free) != [arm]


def test_a_surface_that_explains_nothing_does_not_break_the_fit(make_config):
    """A slope that goes to 0 has no density under a log-normal prior."""
    config = make_config(related=[task(sign=-1.0), task(source="flat", sign=0.0)])
    kernel = OlderSurfacesKernel(older_surfaces(config.related, axes_of(config.search_space), "reward").processes)
    assert kernel.slopes.tolist() == pytest.approx([1.0, 1.0])
    kernel.raw_slopes.data.fill_(-1e6)
    assert kernel.slopes.tolist() == pytest.approx([1e-4, 1e-4])
    assert torch.isfinite(kernel.slope_prior.log_prob(kernel.slopes)).all()
    kernel.sample_from_prior("slope_prior")
    assert (kernel.slopes > 1e-4).all()


def test_what_ax_hands_over_is_put_on_the_axes_of_the_older_surfaces(make_config):
    """Decimal logarithms of a range, places of a few values: both from 0 to 1, as `encode` has them."""
    space = {
        "parameters": {
            "kl_coef": {"bounds": [0.01, 1], "log": True},
            "units": {"values": ["tokens", "words", "spans"]},
            "gae_lambda": {"bounds": [0.5, 1]},
        }
    }
    older = task()
    for i, trial in enumerate(older["trials"]):
        trial["parameters"] |= {"kl_coef": 10.0 ** -(i % 3), "units": ["tokens", "words", "spans"][i % 3]}
    config = make_config(search_space=space, related=[older])
    experiment = new_experiment(config)
    client = new_client(experiment, config.related)
    for i, arm in enumerate(random_arms(config.search_space, 8, seed=0)):
        client.complete_trial(client.attach_trial(arm), raw_data={"reward": float(i), "kl": 1.0})
    fit_strategy(client, seed=0)
    surrogate = strategy_of(client).adapter.generator.surrogate
    place = surrogate.outcomes.index("reward")
    model = surrogate.model.models[place]
    arms = [trial.arm.parameters for trial in experiment.trials.values()]
    expected = encode(axes_of(config.search_space), arms)
    np.testing.assert_allclose(model.input_transform(surrogate.training_data[place].X).numpy(), expected, atol=1e-9)
