import numpy as np
import pytest
from ax.core.observation import ObservationFeatures
from ax.core.trial_status import TrialStatus
from ax.storage.sqa_store.db import create_all_tables, get_engine, session_context
from ax.storage.sqa_store.load import load_experiment
from ax.storage.sqa_store.save import save_experiment

from bo_shaping.generation.design import random_arm
from bo_shaping.generation.early_stopping import trials_to_stop
from bo_shaping.generation.strategy import fit_strategy, new_client, new_experiment, propose
from bo_shaping.space.arms import from_arm, to_arm
from bo_shaping.surrogate.recommend import recommend
from tests.bo_shaping import closed_form

STEPS = 20
RULE = {"percentile": 40.0, "min_step": 5, "min_curves": 4, "keep_top": 2}


@pytest.fixture
def config(make_config):
    return make_config(executor="process", ppo={"steps": STEPS}, early_stopping=RULE, budget={"trials": 50})


def curve(client, index, final, until=STEPS, jitter=0.0):
    """A learning curve that rises linearly to `final` and is known up to a step."""
    for step in range(0, until + 1, 5):
        value = final * step / STEPS + jitter * (step % 10)
        client.attach_data(index, {"reward": value, "kl": 4.0 * step / STEPS}, progression=step)


def add(client, share, origin="model"):
    index = client.attach_trial(to_arm({"shap": share, "lime": 0.0, "sparse": 1 - share}, {"gae_lambda": 0.8}))
    client._experiment.trials[index].update_run_metadata({"seeds": [0], "origin": origin})
    return index


@pytest.fixture
def client(config):
    """A client with five completed curves, of final reward 1 to 5."""
    client = new_client(new_experiment(config))
    for i in range(5):
        index = add(client, 0.1 * i)
        curve(client, index, i + 1.0)
        client.complete_trial(index, {"reward": i + 1.0, "kl": 4.0})
    return client


def test_a_trial_that_falls_behind_is_ended_and_the_best_go_on(client, config):
    bad, good = add(client, 0.6), add(client, 0.9)
    curve(client, bad, 0.5, until=10)
    curve(client, good, 4.5, until=10)
    assert trials_to_stop(client, config, {bad, good}) == {
        bad: "at step 10 its reward of 0.25 was below the 40th percentile of the other trials"
    }


def test_nothing_is_ended_early_on_at_the_last_step_or_with_few_curves(client, config, make_config):
    bad = add(client, 0.6)
    curve(client, bad, 0.5, until=0)
    assert trials_to_stop(client, config, {bad}) == {}
    curve(client, bad, 0.5, until=5)
    assert list(trials_to_stop(client, config, {bad})) == [bad]
    careful = make_config(executor="process", ppo={"steps": STEPS}, early_stopping=RULE | {"min_curves": 6})
    assert trials_to_stop(client, careful, {bad}) == {}
    assert trials_to_stop(client, make_config(), {bad}) == {}
    curve(client, bad, 0.5)
    assert trials_to_stop(client, config, {bad}) == {}


def test_patience_wants_a_trial_to_be_behind_all_the_time(client, make_config):
    config = make_config(executor="process", ppo={"steps": STEPS}, early_stopping=RULE | {"patience": 5})
    late = add(client, 0.6)
    # Ahead at step 5, behind at step 10.
    for step, value in ((0, 0.0), (5, 2.0), (10, 0.1)):
        client.attach_data(late, {"reward": value, "kl": 1.0}, progression=step)
    assert trials_to_stop(client, config, {late}) == {}
    client.attach_data(late, {"reward": 0.2, "kl": 1.0}, progression=15)
    assert list(trials_to_stop(client, config, {late})) == [late]


@pytest.mark.parametrize("origin", ["design", "recommended", "replicate"])
def test_baselines_and_what_is_recommended_are_never_ended(client, config, origin):
    bad = add(client, 0.6, origin)
    curve(client, bad, 0.5, until=10)
    assert trials_to_stop(client, config, {bad}) == {}


def test_the_best_at_the_time_are_kept(client, make_config):
    config = make_config(
        executor="process", ppo={"steps": STEPS}, early_stopping=RULE | {"percentile": 99.0, "keep_top": 1}
    )
    leader, second = add(client, 0.6), add(client, 0.9)
    curve(client, leader, 6.0, until=10)
    curve(client, second, 5.5, until=10)
    assert list(trials_to_stop(client, config, {leader, second})) == [second]


def run(client, config, n):
    """Run the design and then random arms on the closed form; what falls behind is stopped half way."""
    for _ in range(n):
        index = len(client._experiment.trials)
        if index < 6:
            propose(client, config)
        else:
            client.attach_trial(random_arm(config, index))
            client._experiment.trials[index].update_run_metadata({"seeds": [0], "origin": "random"})
        weights, parameters = from_arm(client._experiment.trials[index].arm.parameters)
        final = 3 + closed_form.reward(weights, parameters["gae_lambda"])
        curve(client, index, final, until=10)
        if trials_to_stop(client, config, {index}):
            client._experiment.trials[index].mark_early_stopped()
        else:
            curve(client, index, final)
            client.complete_trial(index, {"reward": final, "kl": 4.0})


def test_a_study_with_stopped_trials_learns_what_they_would_have_reached(make_config, tmp_path):
    config = make_config(
        executor="process", ppo={"steps": STEPS}, early_stopping=RULE | {"percentile": 50.0}, budget={"trials": 50}
    )
    client = new_client(new_experiment(config))
    run(client, config, 14)
    experiment = client._experiment
    stopped = [i for i, trial in experiment.trials.items() if trial.status == TrialStatus.EARLY_STOPPED]
    assert stopped
    best, _ = recommend(experiment, config)
    assert best.n_trials == 14
    assert best.mean == pytest.approx(5.0, abs=0.6)
    # Ax's process, too, is told neither half a reward nor a further input.
    fit_strategy(client, seed=0)
    adapter = client._generation_strategy.adapter
    assert "step" not in adapter.generator.search_space_digest.feature_names
    for index in stopped:
        weights, parameters = from_arm(experiment.trials[index].arm.parameters)
        whole = 3 + closed_form.reward(weights, parameters["gae_lambda"])
        means, _ = adapter.predict([ObservationFeatures(parameters=experiment.trials[index].arm.parameters)])
        # Half of the reward is there at the step where it was stopped; completed trainings gained more than it would.
        assert means["reward"][0] > 0.5 * whole + 0.5

    url = f"sqlite:///{tmp_path}/study.db"
    with session_context(url=url):
        create_all_tables(get_engine())
        save_experiment(experiment)
        loaded = load_experiment(config.name)
    again, _ = recommend(loaded, config)
    assert again.weights == best.weights
    assert again.mean == pytest.approx(best.mean, abs=1e-6)
    twin = new_client(loaded)
    index = propose(twin, config)
    curve(twin, index, 0.1, until=10)
    assert list(trials_to_stop(twin, config, {index})) == [index]
    assert np.isfinite(best.regret)
