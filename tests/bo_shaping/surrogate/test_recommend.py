import json
from dataclasses import asdict

import numpy as np
import pytest
from ax.core.observation import ObservationFeatures

from bo_shaping.errors import TooFewTrialsError
from bo_shaping.generation.strategy import fit_strategy, new_client, new_experiment, propose
from bo_shaping.space.arms import from_arm, to_arm
from bo_shaping.surrogate.recommend import recommend, should_stop
from bo_shaping.surrogate.recommendation import Best, Surface
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
    is_pure = best.weights["sparse"] == 1.0
    assert is_pure == (best.prob_better_than_sparse is None) == ("The recommendation is pure sparse" in best.note)
    assert is_pure or best.prob_better_than_sparse < 0.6
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


def test_the_regret_left_is_small_where_much_is_known_and_large_where_little_is(make_config):
    rich, _ = recommend(experiment_of(make_config(), closed_form.reward, spread(24, "sparse")), make_config())
    poor, _ = recommend(experiment_of(make_config(), closed_form.reward, spread(5)), make_config())
    assert 0 <= rich.regret < 0.15
    assert poor.regret > 2 * rich.regret
    assert rich.prob_best.keys() == {"shap", "lime", "sparse"}
    assert max(rich.prob_best.values()) < 0.1
    assert rich.joint == []
    assert rich.front == []
    assert rich.seed_correlation is None


def test_a_corner_that_is_best_is_probably_the_best(make_config):
    def reward(weights, gae_lambda):
        return 3 * weights["shap"] + weights["lime"] - (gae_lambda - 0.8) ** 2

    best, _ = recommend(experiment_of(make_config(), reward, spread(20, "shap")), make_config())
    assert best.weights["shap"] == 1.0
    assert best.prob_best["shap"] > 0.6
    assert best.prob_better_than["shap"] is None
    assert json.loads(json.dumps(asdict(best)))["prob_better_than"]["shap"] is None
    assert best.prob_better_than["lime"] > 0.99


@pytest.mark.parametrize("seed", [0, 1, 5])
def test_a_rival_is_chosen_by_expectation_as_the_recommendation_is(make_config, seed):
    # Where little is known, the best lambda of every single draw is often above a point that was chosen before.
    rng = np.random.default_rng(seed)
    experiment = experiment_of(make_config(), lambda *_: rng.normal(), spread(6))
    best, _ = recommend(experiment, make_config())
    assert max(best.weights.values()) < 1
    assert min(best.prob_better_than.values()) > 0.5


def test_a_study_may_stop_when_the_regret_is_small_and_not_before_its_design_is_run(make_config):
    def stops(arms, threshold):
        config = make_config(budget={"stop_when_regret_below": threshold})
        return should_stop(experiment_of(config, closed_form.reward, arms), config, n_design=6)

    known = spread(24, "sparse")
    assert stops(known, 0.3).startswith("the expected regret of the recommendation is 0.")
    assert stops(known, 1e-6) is None
    assert stops(known, None) is None
    assert stops(known[:6], 100.0) is None
    assert stops(known[:7], 100.0) is not None


def test_a_constraint_relative_to_sparse_moves_the_recommendation(make_config):
    config = make_config(objective={"constraints": ["length >= 0.8 * baseline"]})

    def run(config):
        experiment = new_experiment(config)
        client = new_client(experiment)
        baseline = experiment.status_quo.parameters
        for arm in [baseline, *spread(24, "sparse")]:
            # Reward comes from shap, which shortens responses: 40 tokens under sparse, 20 under pure shap.
            outcome = {"reward": arm["w_shap"], "kl": 3.0, "length": 40 - 20 * arm["w_shap"]}
            client.complete_trial(client.attach_trial(arm), raw_data=outcome)
        return client

    client = run(config)
    best, _ = recommend(client._experiment, config)
    # 40 - 20 w >= 32 means w <= 0.4.
    assert best.weights["shap"] == pytest.approx(0.4, abs=0.051)
    # Ax has the same constraint, against its status quo, and candidates can be made with it.
    (length,) = [c for c in client._experiment.optimization_config.outcome_constraints if c.metric_names == ["length"]]
    assert (length.relative, length.bound) == (True, pytest.approx(-20.0))
    index = propose(client, config)
    assert client._experiment.trials[index].arm.parameters["w_shap"] < 0.7


def test_the_front_trades_reward_for_kl(make_config):
    config = make_config(objective={"pareto": True, "max_kl": 8.0})

    def reward(weights, gae_lambda):
        return 6 * (1 - gae_lambda) * (1 - weights["sparse"])

    experiment = experiment_of(config, reward, spread(24, "sparse"))
    best, _ = recommend(experiment, config)
    # Reward is (KL - 4) * 0.3, so the whole front lies on that line, and the recommendation at the end of the budget.
    assert best.kl == pytest.approx(8.0, abs=0.7)
    assert len(best.front) >= 5
    rewards, kls = [p.mean for p in best.front], [p.kl for p in best.front]
    # It ends where the budget does, although the best reward is beyond, at a KL of 14.
    assert 7.0 < max(kls) <= 8.0
    assert rewards == sorted(rewards)
    assert kls == sorted(kls)
    np.testing.assert_allclose(rewards, 0.3 * (np.array(kls) - 4), atol=0.15)
    assert all(p.mean_interval[0] <= p.mean <= p.mean_interval[1] for p in best.front)
    assert Best.from_json(json.loads(json.dumps(asdict(best)))) == best
    assert experiment.optimization_config.is_moo_problem
    (threshold,) = experiment.optimization_config.objective_thresholds
    assert (threshold.metric_names, threshold.bound, threshold.relative) == (["kl"], 8.0, False)
    client = new_client(experiment)
    arm = client._experiment.trials[propose(client, config)].arm.parameters
    assert sum(arm[f"w_{name}"] for name in ("shap", "lime", "sparse")) == pytest.approx(1, abs=1e-9)


def test_weights_that_only_count_together_are_a_group_among_more(make_config):
    config = make_config(search_space={"components": ("shap", "lime", "owen", "attention", "sparse"), "parameters": {}})
    rng = np.random.default_rng(0)
    experiment = new_experiment(config)
    client = new_client(experiment)
    for weights in rng.dirichlet(np.ones(5), 30):
        arm = to_arm(dict(zip(config.search_space.components, weights, strict=True)), {})
        value = -6 * (weights[0] + weights[1] - 1) ** 2 + 0.001 * rng.normal()
        client.complete_trial(client.attach_trial(arm), raw_data={"reward": value, "kl": 3.0})
    best, _ = recommend(experiment, config)
    (group,) = best.joint
    assert group.components == ["shap", "lime"]
    assert group.total[1] == pytest.approx(1.0, abs=0.01)
    assert "shap and lime cannot be told apart" in best.note


def test_seeds_that_were_shared_say_how_alike_they_are(make_config):
    config = make_config(noise={"seeds": 3})
    rng = np.random.default_rng(0)
    experiment = new_experiment(config)
    client = new_client(experiment)
    luck = {0: -2.0, 1: 0.0, 2: 2.0}
    for i, arm in enumerate(spread(18)):
        weights, parameters = from_arm(arm)
        index = client.attach_trial(arm)
        experiment.trials[index].update_run_metadata({"seeds": [i % 3]})
        value = closed_form.reward(weights, parameters["gae_lambda"]) + luck[i % 3] + 0.1 * rng.normal()
        client.complete_trial(index, raw_data={"reward": value, "kl": 4.0})
    best, _ = recommend(experiment, config)
    assert best.seed_correlation > 0.8
    assert "common seeds help to compare arms" in best.note
    assert best.weights == pytest.approx(closed_form.OPTIMUM, abs=0.16)
    # Ax's process is told outcomes without the luck of their seeds.
    fit_strategy(client, seed=0)
    means, _ = client._generation_strategy.adapter.predict([ObservationFeatures(parameters=arm) for arm in spread(18)])
    truth = [closed_form.reward(*from_arm(arm)[:1], from_arm(arm)[1]["gae_lambda"]) for arm in spread(18)]
    assert np.std(np.array(means["reward"]) - truth) < 0.5


def outcomes(config, rewards, kl=4.0):
    experiment = new_experiment(config)
    client = new_client(experiment)
    for arm, reward in zip(spread(len(rewards)), rewards, strict=True):
        index = client.attach_trial(arm)
        if reward is None:
            client.mark_trial_failed(index)
        else:
            client.complete_trial(index, raw_data={"reward": reward, "kl": kl})
    return experiment


def numbers(value):
    if isinstance(value, dict):
        return [n for v in value.values() for n in numbers(v)]
    if isinstance(value, list | tuple):
        return [n for v in value for n in numbers(v)]
    return [value] if isinstance(value, float) else []


@pytest.mark.parametrize(
    "rewards",
    [[1.0] * 4, [1e6, 1e6 + 1, 1e6 - 1, 1e6], [0.0, 0.0, 0.0, 1e-9], [1.0, None, 2.0, None, 0.5], [1e-8, -1e8, 3.0]],
)
def test_odd_outcomes_give_finite_numbers(make_config, rewards):
    config = make_config()
    best, surface = recommend(outcomes(config, rewards), config)
    assert np.isfinite(numbers(asdict(best))).all()
    assert all(np.isfinite(getattr(surface, name)).all() for name in ("weights", "mean", "sd", "kl", "draws"))
    assert best.regret >= 0


def test_a_single_success_among_failures_is_too_little(make_config):
    with pytest.raises(TooFewTrialsError, match="has 1 completed trial; a recommendation needs at least 3"):
        recommend(outcomes(make_config(), [None, 1.0, None, None]), make_config())


def test_without_a_kl_there_is_no_kl_and_with_a_budget_no_recommendation(make_config):
    def told(config):
        experiment = new_experiment(config)
        client = new_client(experiment)
        for arm in spread(4):
            client.complete_trial(client.attach_trial(arm), raw_data={"reward": arm["w_shap"]})
        return experiment

    free = make_config(objective={"max_kl": None}, budget={"trials": 50})
    experiment = told(free)
    assert recommend(experiment, free)[0].kl is None
    client = new_client(experiment)
    for _ in range(3):
        propose(client, free)
    assert len(experiment.trials) == 7
    with pytest.raises(TooFewTrialsError, match="Only 0 trials have a kl"):
        recommend(told(make_config()), make_config())
