import json
from dataclasses import asdict

import numpy as np
import pytest

from bo_shaping.errors import TooFewTrialsError
from bo_shaping.generation import new_client, new_experiment
from bo_shaping.posterior import recommend
from bo_shaping.recommendation import Best, Surface
from bo_shaping.search_space import from_arm, to_arm
from tests.bo_shaping import closed_form

LAMBDAS = (0.55, 0.7, 0.85, 1.0)


def experiment_of(config, reward, arms):
    """An experiment in which every arm has completed with the given reward and the closed form's KL."""
    experiment = new_experiment(config)
    client = new_client(experiment)
    for arm in arms:
        weights, parameters = from_arm(arm)
        gae_lambda = parameters["gae_lambda"]
        outcome = {"reward": reward(weights, gae_lambda), "kl": closed_form.kl(weights, gae_lambda)}
        client.complete_trial(client.attach_trial(arm), raw_data=outcome)
    return experiment


def spread(n, corner=None):
    """`n` arms spread over the simplex, and one corner at several lambdas."""
    rng = np.random.default_rng(0)
    arms = [
        to_arm(dict(zip(("shap", "lime", "sparse"), w, strict=True)), {"gae_lambda": gae_lambda})
        for w, gae_lambda in zip(rng.dirichlet(np.ones(3), n), rng.uniform(0.5, 1, n), strict=True)
    ]
    if corner is not None:
        weights = {name: float(name == corner) for name in ("shap", "lime", "sparse")}
        arms += [to_arm(weights, {"gae_lambda": value}) for value in LAMBDAS]
    return arms


def test_a_known_optimum_is_found_within_the_budget_with_honest_intervals(make_config):
    experiment = experiment_of(make_config(), closed_form.reward, spread(24, "sparse"))
    best, surface = recommend(experiment, make_config())
    assert best.weights == pytest.approx(closed_form.OPTIMUM, abs=0.1)
    assert best.parameters["gae_lambda"] == pytest.approx(closed_form.BEST_LAMBDA, abs=0.1)
    assert best.kl == pytest.approx(closed_form.kl(best.weights, best.parameters["gae_lambda"]), abs=0.3)
    assert best.kl <= 8
    assert best.mean_interval[0] < best.mean < best.mean_interval[1]
    assert best.mean == pytest.approx(2.0, abs=0.2)
    for name, value in {**closed_form.OPTIMUM, "gae_lambda": closed_form.BEST_LAMBDA}.items():
        low, high = best.interval[name]
        assert low - 0.06 <= value <= high + 0.06
        assert high - low < 0.4
    assert best.prob_better_than_sparse == best.prob_better_than["sparse"] > 0.99
    assert best.n_trials == 28
    assert best.note == "With one seed per arm the variance between training seeds is in none of these numbers."
    assert surface.weights.shape == (66, 3)
    assert surface.mean.shape == surface.sd.shape == surface.kl.shape == (66,)
    np.testing.assert_allclose(surface.draws.sum(axis=1), 1.0)
    assert Best.from_json(json.loads(json.dumps(asdict(best)))) == best
    np.testing.assert_allclose(Surface.from_json(surface.to_json()).mean, surface.mean, atol=1e-5)


def test_sparse_that_is_best_at_its_own_lambda_is_not_beaten(make_config):
    def reward(weights, gae_lambda):
        # At the lambda where dense credit is best, sparse looks bad; at its own it wins.
        return weights["sparse"] * (3 - 20 * (1 - gae_lambda)) + (1 - weights["sparse"]) * (1 - abs(gae_lambda - 0.7))

    best, _ = recommend(experiment_of(make_config(), reward, spread(24, "sparse")), make_config())
    assert best.weights["sparse"] > 0.9
    assert best.prob_better_than_sparse < 0.6
    assert ("The recommendation is pure sparse" in best.note) == (best.weights["sparse"] == 1.0)
    assert best.prob_better_than["shap"] > 0.99


def test_the_kl_budget_moves_the_recommendation(make_config):
    def reward(weights, gae_lambda):
        return 5 * (1 - gae_lambda) + weights["shap"]

    arms = spread(24, "shap")
    tight, free = make_config(objective={"max_kl": 6.0}), make_config(objective={"max_kl": None})
    within, _ = recommend(experiment_of(tight, reward, arms), tight)
    without, _ = recommend(experiment_of(free, reward, arms), free)
    assert within.kl <= 6.0 < without.kl
    assert within.mean < without.mean


def test_a_budget_that_nothing_keeps_is_said(make_config):
    config = make_config(objective={"max_kl": 1.0})
    best, _ = recommend(experiment_of(config, closed_form.reward, spread(10)), config)
    assert "No point is expected to keep the KL within 1" in best.note


def test_components_that_do_the_same_are_said_not_to_be_told_apart(make_config):
    def reward(weights, gae_lambda):
        return 2 - 3 * (weights["shap"] + weights["lime"] - 0.8) ** 2 - 3 * (gae_lambda - 0.8) ** 2

    best, _ = recommend(experiment_of(make_config(), reward, spread(24)), make_config())
    assert "shap and lime cannot be told apart" in best.note


def test_noise_without_signal_gives_wide_intervals(make_config):
    rng = np.random.default_rng(1)
    experiment = experiment_of(make_config(), lambda *_: rng.normal(), spread(12, "sparse"))
    best, _ = recommend(experiment, make_config())
    assert "cannot be told apart" in best.note
    assert 0.1 < best.prob_better_than_sparse < 0.95


def test_equal_rewards_do_not_break_anything(make_config):
    best, _ = recommend(experiment_of(make_config(), lambda *_: 1.0, spread(5)), make_config())
    assert best.mean == pytest.approx(1.0, abs=0.01)


def test_two_trials_are_too_few(make_config):
    with pytest.raises(TooFewTrialsError, match="has 2 completed trials; a recommendation needs at least 3"):
        recommend(experiment_of(make_config(), closed_form.reward, spread(2)), make_config())
