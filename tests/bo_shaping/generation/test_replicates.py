import copy

import pytest
from ax.core.trial_status import TrialStatus

from bo_shaping.generation.replicates import must_wait, usual_seeds
from bo_shaping.generation.strategy import new_client, new_experiment, propose
from bo_shaping.space.arms import from_arm, to_arm
from bo_shaping.surrogate.recommend import recommend
from tests.bo_shaping import closed_form


def complete(client, index, reward=closed_form.reward):
    weights, parameters = from_arm(client._experiment.trials[index].arm.parameters)
    gae_lambda = parameters["gae_lambda"]
    client.complete_trial(index, {"reward": reward(weights, gae_lambda), "kl": closed_form.kl(weights, gae_lambda)})


def facts(client, index):
    trial = client._experiment.trials[index]
    return trial.run_metadata["origin"], trial.run_metadata["seeds"]


def arm(client, index):
    return from_arm(client._experiment.trials[index].arm.parameters)


@pytest.fixture(scope="module")
def _explored(make_config):
    config = make_config(budget={"trials": 100})
    client = new_client(new_experiment(config))
    for _ in range(8):
        complete(client, propose(client, config))
    return client._experiment


@pytest.fixture
def client(_explored):
    """A client with eight completed trials."""
    return new_client(copy.deepcopy(_explored))


def test_every_arm_gets_the_same_seed_or_its_turn_of_a_fixed_set(make_config):
    assert [usual_seeds(make_config(seed=5), i) for i in range(2)] == [[5], [5]]
    rotating = make_config(seed=5, noise={"seeds": 3})
    assert [usual_seeds(rotating, i) for i in range(4)] == [[5], [6], [7], [5]]
    replicated = make_config(noise={"replicates": 3})
    assert [usual_seeds(replicated, i) for i in range(2)] == [[0, 1, 2], [0, 1, 2]]
    both = make_config(noise={"seeds": 4, "replicates": 2})
    assert [usual_seeds(both, i) for i in range(4)] == [[0, 1], [1, 2], [2, 3], [3, 0]]


def test_the_recommended_arm_is_run_and_then_compared_with_sparse_under_fresh_seeds(client, make_config):
    config = make_config(budget={"trials": 13, "replicate_last": 5})
    best = recommend(client._experiment, config)[0]
    first = propose(client, config)
    assert arm(client, first) == (best.weights, best.parameters)
    assert facts(client, first) == ("recommended", [0])
    complete(client, first)
    # The round: leader, sparse at its best, runner-up, all with seed 1, which no trial has run.
    leader = recommend(client._experiment, config)[0]
    round_ = [propose(client, config) for _ in range(3)]
    assert [facts(client, index) for index in round_] == [("replicate", [1])] * 3
    assert arm(client, round_[0]) == (leader.weights, leader.parameters)
    assert arm(client, round_[1])[0]["sparse"] == 1.0
    assert 0 < arm(client, round_[2])[0]["sparse"] < 1
    assert arm(client, round_[2]) in [arm(client, i) for i in range(9)]
    for index in round_:
        complete(client, index)
    # One trial is left, which could not be compared with another under a seed of its own.
    last = propose(client, config)
    assert facts(client, last)[1] == [0] or arm(client, last)[0] == recommend(client._experiment, config)[0].weights
    complete(client, last)
    assert propose(client, config) == 13
    assert facts(client, 13)[0] == "model"


def test_the_study_waits_for_results_that_may_change_what_is_recommended(client, make_config):
    config = make_config(budget={"trials": 12, "replicate_last": 3})
    running = propose(client, config)
    assert facts(client, running)[0] == "model"
    assert must_wait(client._experiment, config)
    complete(client, running)
    assert not must_wait(client._experiment, config)
    first = propose(client, config)
    # A round is decided on when the first look at the recommended arm is there.
    assert must_wait(client._experiment, config)
    complete(client, first)
    propose(client, config)
    assert not must_wait(client._experiment, config)


def test_nobody_waits_for_trials_that_somebody_else_evaluates(client, make_config):
    config = make_config(budget={"trials": 11, "replicate_last": 2})
    asked = propose(client, config)
    client._experiment.trials[asked].update_run_metadata({"asked": True})
    assert not must_wait(client._experiment, config)


def test_after_the_last_trials_a_measured_arm_stays_recommended(client, make_config):
    config = make_config(budget={"trials": 9, "replicate_last": 1})
    index = propose(client, config)
    complete(client, index)
    best = recommend(client._experiment, config)[0]
    assert (best.weights, best.parameters) == arm(client, index)
    assert best.nearest_trial == index


def test_a_measured_arm_that_is_clearly_worse_does_not_stay_recommended(client, make_config):
    config = make_config(budget={"trials": 9, "replicate_last": 1})
    index = propose(client, config)
    complete(client, index, reward=lambda *_: -3.0)
    for _ in range(2):
        again = client.attach_trial(client._experiment.trials[index].arm.parameters)
        client._experiment.trials[again].update_run_metadata({"seeds": [0], "origin": "replicate"})
        complete(client, again, reward=lambda *_: -3.0)
    best = recommend(client._experiment, config)[0]
    assert (best.weights, best.parameters) != arm(client, index)


def test_proposals_depend_on_the_trials_alone(client, make_config):
    config = make_config(budget={"trials": 11, "replicate_last": 3})
    twin = new_client(copy.deepcopy(client._experiment))
    for _ in range(3):
        a, b = propose(client, config), propose(twin, config)
        assert arm(client, a) == arm(twin, b)
        assert facts(client, a) == facts(twin, b)
        complete(client, a)
        complete(twin, b)


def test_a_failed_replicate_is_not_repeated(client, make_config):
    config = make_config(budget={"trials": 12, "replicate_last": 4})
    complete(client, propose(client, config))
    leader = propose(client, config)
    client.mark_trial_failed(leader)
    second = propose(client, config)
    assert arm(client, second)[0]["sparse"] == 1.0
    assert facts(client, second) == facts(client, leader)


def test_with_too_few_results_the_last_trials_are_random(make_config):
    config = make_config(budget={"trials": 8, "replicate_last": 2})
    client = new_client(new_experiment(config))
    for _ in range(7):
        client.mark_trial_failed(propose(client, config))
    assert facts(client, 6)[0] == "random"


def test_replicated_arms_get_as_many_fresh_seeds(client, make_config):
    config = make_config(noise={"replicates": 2}, budget={"trials": 12, "replicate_last": 4})
    complete(client, propose(client, config))
    assert facts(client, propose(client, config)) == ("replicate", [2, 3])


def test_attached_arms_count_as_run(client, make_config):
    config = make_config(budget={"trials": 11, "replicate_last": 2})
    best = recommend(client._experiment, config)[0]
    client.attach_trial(to_arm(best.weights, best.parameters))
    client._experiment.trials[8].update_run_metadata({"seeds": [0], "origin": "attached"})
    complete(client, 8)
    again = recommend(client._experiment, config)[0]
    index = propose(client, config)
    was_run = again.weights == best.weights and again.parameters == best.parameters
    assert facts(client, index) == (("replicate", [1]) if was_run else ("recommended", [0]))
    assert client._experiment.trials[index].status == TrialStatus.RUNNING
