import numpy as np
import pytest

from bo_shaping.generation.strategy import new_client, new_experiment
from bo_shaping.space.arms import to_arm
from bo_shaping.surrogate.observations import expected_gain, finished, pooled_deviation, pooled_sems, rows


def attach(client, share, seeds=(0,), values=None):
    arm = to_arm({"shap": share, "lime": 0.0, "sparse": 1 - share}, {"gae_lambda": 0.8})
    index = client.attach_trial(arm)
    trial = client._experiment.trials[index]
    trial.update_run_metadata({"seeds": list(seeds)} | ({"values": values} if values else {}))
    return index


@pytest.fixture
def client(make_config):
    return new_client(new_experiment(make_config()))


def test_the_common_effect_of_seeds_is_no_noise():
    rng = np.random.default_rng(0)
    noise = 0.3
    arms, seeds = rng.normal(size=(200, 1)), 10 * rng.normal(size=(1, 4))
    table = arms + seeds + noise * rng.normal(size=(200, 4))
    pooled = pooled_deviation([((0, 1, 2, 3), row) for row in table])
    # 597 degrees of freedom: a standard deviation is known within 3 %.
    assert pooled == pytest.approx(noise, rel=0.09)
    assert np.std(table, axis=1, ddof=1).mean() > 5


def test_arms_with_other_seeds_are_a_table_of_their_own_and_one_arm_says_nothing():
    same = [((0, 1), (1.0, 2.0)), ((0, 1), (5.0, 7.0))]
    assert pooled_deviation([*same, ((8, 9), (0.0, 50.0))]) == pooled_deviation(same) == 0.5
    assert pooled_deviation(same[:1]) is None
    assert pooled_deviation([((0,), (1.0,)), ((0,), (2.0,))]) is None


def test_a_stopped_training_gains_what_completed_ones_did():
    curves = [{0.0: 0.0, 10.0: 1.0, 20.0: 3.0}, {0.0: 0.0, 10.0: 2.0, 20.0: 2.0, np.inf: 2.5}]
    # Gains from step 10: 2 and 0.5; from step 5, half way up: 2.5 and 1.5.
    assert expected_gain(curves, 10.0) == pytest.approx((1.25, np.var([2, 0.5], ddof=1)))
    assert expected_gain(curves, 5.0)[0] == pytest.approx(2.0)
    assert expected_gain(curves[:1], 20.0) == (0.0, 0.0)
    assert expected_gain([{np.inf: 3.0}], 10.0) == (0.0, 0.0)


def test_a_stopped_trial_is_not_taken_for_a_finished_one(client):
    for share, final in ((0.2, 2.0), (0.5, 3.0)):
        index = attach(client, share)
        client.attach_data(index, {"reward": 1.0, "kl": 2.0}, progression=10)
        client.complete_trial(index, {"reward": final, "kl": 5.0})
    index = attach(client, 0.9)
    client.attach_data(index, {"reward": 0.2, "kl": 1.5}, progression=10)
    client._experiment.trials[index].mark_early_stopped()
    running = attach(client, 0.7)
    client.attach_data(running, {"reward": 0.3, "kl": 1.5}, progression=10)
    outcomes = finished(client._experiment)
    assert list(outcomes) == [0, 1, 2]
    assert [outcomes[i].means["reward"] for i in (0, 1)] == [2.0, 3.0]
    assert outcomes[2].means == pytest.approx({"reward": 0.2 + 1.5, "kl": 1.5 + 3.0})
    assert rows(outcomes.values(), "reward").known.tolist() == pytest.approx([0, 0, 0.5])


def test_replicates_are_rows_and_their_standard_error_is_pooled(client):
    for i, values in enumerate(([1.0, 2.0], [5.0, 7.0], [3.0, 4.5])):
        index = attach(client, 0.2 * i, seeds=(0, 1), values={"reward": values, "kl": [1.0, 1.0]})
        client.complete_trial(index, {"reward": (float(np.mean(values)), 0.01 * (i + 1)), "kl": (1.0, 0.0)})
    outcomes = finished(client._experiment)
    data = rows(outcomes.values(), "reward")
    assert data.y.tolist() == [1.0, 2.0, 5.0, 7.0, 3.0, 4.5]
    assert data.seeds == [0, 1, 0, 1, 0, 1]
    assert data.learn_noise
    assert not data.known.any()
    # Half of the differences 1, 2, 1.5 beside their mean is left on both seeds: 4 * 0.25^2 over 2 degrees of freedom.
    assert pooled_sems(outcomes, "reward") == pytest.approx(dict.fromkeys(range(3), (0.125 / 2) ** 0.5))
    # Equal values leave nothing to pool, and a standard error of 0 would make a process go through noise.
    assert pooled_sems(outcomes, "kl") is None


def test_a_told_mean_over_seeds_is_one_row_with_less_noise(client):
    for i, values in enumerate(([1.0, 2.0], [5.0, 7.0])):
        index = attach(client, 0.2 * i, seeds=(0, 1), values={"reward": values})
        client.complete_trial(index, {"reward": (float(np.mean(values)), 0.1)})
    client.complete_trial(attach(client, 0.4, seeds=(0, 1)), {"reward": (3.0, 0.1)})
    data = rows(finished(client._experiment).values(), "reward")
    assert data.y.tolist() == [1.0, 2.0, 5.0, 7.0, 3.0]
    assert data.n_trainings.tolist() == [1, 1, 1, 1, 2]


def test_standard_errors_count_only_if_every_trial_has_one(client):
    for share in (0.1, 0.3, 0.5):
        client.complete_trial(attach(client, share), {"reward": (1.0, 0.2), "kl": (3.0, 0.1)})
    assert pooled_sems(finished(client._experiment), "reward") == dict.fromkeys(range(3), 0.2)
    known = rows(finished(client._experiment).values(), "reward")
    assert known.known.tolist() == pytest.approx([0.04] * 3)
    assert not known.learn_noise
    client.complete_trial(attach(client, 0.8), {"reward": 1.0, "kl": 3.0})
    outcomes = finished(client._experiment)
    assert pooled_sems(outcomes, "reward") is None
    assert rows(outcomes.values(), "reward").learn_noise


def test_a_trial_without_a_reward_does_not_count(client):
    client.complete_trial(attach(client, 0.1), {"kl": 3.0})
    assert finished(client._experiment) == {}
