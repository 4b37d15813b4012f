import copy

import pytest
from ax.core.trial_status import TrialStatus

from bo_shaping.generation.strategy import new_client, new_experiment, propose
from bo_shaping.space.arms import from_arm
from bo_shaping.space.lattice import random_arms
from bo_shaping.surrogate.recommend import recommend
from tests.bo_shaping import closed_form


def complete(client, index, reward=closed_form.reward):
    weights, parameters = from_arm(client._experiment.trials[index].arm.parameters)
    gae_lambda = parameters["gae_lambda"]
    outcome = {"reward": reward(weights, gae_lambda), "kl": closed_form.kl(weights, gae_lambda)}
    client.complete_trial(index, raw_data=outcome)


def arm(client, index):
    return client._experiment.trials[index].arm.parameters


@pytest.fixture
def client(make_config):
    """A client whose initial design of six trials is completed."""
    client = new_client(new_experiment(make_config()))
    for _ in range(6):
        complete(client, propose(client, make_config()))
    return client


def test_sparse_is_the_baseline_of_the_experiment(client):
    assert client._experiment.status_quo.parameters == arm(client, 0)
    assert arm(client, 0)["w_sparse"] == 1.0


def test_the_kl_budget_is_an_outcome_constraint_unless_there_is_none(client, make_config):
    (constraint,) = client._experiment.optimization_config.outcome_constraints
    assert (constraint.metric_names, constraint.bound, constraint.relative) == (["kl"], 8.0, False)
    free = new_experiment(make_config(objective={"max_kl": None}))
    assert free.optimization_config.outcome_constraints == []
    assert "kl" in free.metrics


def test_equal_states_propose_equal_arms_and_other_seeds_others(client, make_config):
    first = copy.deepcopy(client._experiment)
    twin, other = new_client(copy.deepcopy(first)), new_client(copy.deepcopy(first))
    index = propose(client, make_config())
    assert arm(twin, propose(twin, make_config())) == arm(client, index)
    assert arm(other, propose(other, make_config(seed=1))) != arm(client, index)
    assert client._experiment.trials[index].status == TrialStatus.RUNNING


def test_proposals_are_on_the_simplex_apart_from_pending_ones_and_improve(client, make_config):
    arms = [arm(client, propose(client, make_config())) for _ in range(2)]
    for proposed in arms:
        assert sum(proposed[f"w_{name}"] for name in ("shap", "lime", "sparse")) == pytest.approx(1, abs=1e-9)
        assert all(proposed[f"w_{name}"] >= 0 for name in ("shap", "lime", "sparse"))
    # The second is proposed while the first is running.
    assert max(abs(arms[0][name] - arms[1][name]) for name in arms[0]) > 0.05
    complete(client, 6)
    complete(client, 7)
    complete(client, propose(client, make_config()))
    rewards = client._experiment.lookup_data().df.query("metric_name == 'reward'").set_index("trial_index")["mean"]
    assert rewards.loc[6:].max() > rewards.loc[:5].max()


def test_without_enough_results_arms_are_random(make_config):
    client = new_client(new_experiment(make_config()))
    for _ in range(6):
        client.mark_trial_failed(propose(client, make_config()))
    arms = [arm(client, propose(client, make_config())) for _ in range(2)]
    assert arms[0] != arms[1]
    assert all(0 < proposed["w_shap"] < 1 for proposed in arms)


def test_equal_rewards_do_not_stop_the_study(make_config):
    client = new_client(new_experiment(make_config()))
    for _ in range(8):
        complete(client, propose(client, make_config()), reward=lambda *_: 1.0)
    assert len(client._experiment.trials) == 8


def test_held_and_bounded_weights_and_whole_numbers_are_kept_by_proposals_and_recommendation(make_config):
    space = {
        "components": ("shap", "lime", "owen", "sparse"),
        "fixed": {"owen": 0.1},
        "bounds": {"sparse": (0.2, 0.6)},
        "parameters": {"gae_lambda": {"bounds": (0.5, 1.0)}, "epochs": {"bounds": (1, 4)}},
    }
    config = make_config(search_space=space, budget={"trials": 50})
    client = new_client(new_experiment(config))
    known = random_arms(config.search_space, 8, seed=1)
    for i in range(11):
        index = client.attach_trial(known[i]) if i < 8 else propose(client, config)
        proposed = arm(client, index)
        assert proposed["w_owen"] == 0.1
        assert 0.2 - 1e-9 <= proposed["w_sparse"] <= 0.6 + 1e-9
        assert sum(value for name, value in proposed.items() if name.startswith("w_")) == pytest.approx(1, abs=1e-9)
        assert isinstance(proposed["epochs"], int)
        if i < 10:
            client.complete_trial(index, {"reward": proposed["w_shap"] - (proposed["epochs"] - 3) ** 2, "kl": 4.0})
    best, surface = recommend(client._experiment, config)
    assert best.weights["owen"] == 0.1
    assert best.parameters["epochs"] == 3
    assert best.weights["shap"] > 0.5
    assert surface.weights[:, 3].min() == pytest.approx(0.2)


def test_ax_may_ask_for_several_arms_at_once(client):
    arms = list(client.get_next_trials(max_trials=3).values())
    assert len(arms) == 3
    for i, first in enumerate(arms):
        for second in arms[:i]:
            assert max(abs(first[name] - second[name]) for name in first) > 0.05


def test_every_trial_says_its_seeds_and_who_chose_it(client, make_config):
    config = make_config(seed=3, noise={"seeds": 2}, budget={"trials": 100})
    index = propose(client, config)
    assert client._experiment.trials[index].run_metadata == {"seeds": [3], "origin": "model"}
    assert client._experiment.trials[0].run_metadata["origin"] == "design"


@pytest.mark.parametrize("has_failed", [True, False])
def test_limits_relative_to_a_baseline_without_a_result_do_not_end_the_study(make_config, has_failed):
    config = make_config(objective={"constraints": ["kl <= 2 * baseline"]}, budget={"trials": 50})
    client = new_client(new_experiment(config))
    for _ in range(6):
        index = propose(client, config)
        if index > 0:
            complete(client, index)
        elif has_failed:
            client.mark_trial_failed(index)
    experiment = client._experiment
    sparse = experiment.status_quo.parameters
    index = propose(client, config)
    # A baseline that failed gets one more chance; one that somebody is still to tell about is waited for.
    assert (arm(client, index) == sparse) == has_failed
    if has_failed:
        client.mark_trial_failed(index)
        index = propose(client, config)
    assert experiment.trials[index].run_metadata["origin"] == "random"
    client.complete_trial(client.attach_trial(sparse), {"reward": 0.0, "kl": 4.0})
    assert experiment.trials[propose(client, config)].run_metadata["origin"] == "model"
