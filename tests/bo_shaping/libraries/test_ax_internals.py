"""These fail first when Ax changes what it never promised."""

import math

import pytest
import torch
from ax.adapter.base import Adapter
from ax.core.data import DataRow
from ax.storage.json_store.encoders import generator_run_to_dict

from bo_shaping.config import StudyConfig
from bo_shaping.generation.strategy import fit_strategy, new_client, new_experiment, propose
from bo_shaping.libraries import ax_internals as internals
from bo_shaping.surrogate.outcomes import KL, REWARD


@pytest.fixture(scope="module")
def client():
    """Eight trials with outcomes, the last one chosen by the acquisition function."""
    config = StudyConfig(name="internals", budget={"trials": 20})
    client = new_client(new_experiment(config))
    for i in range(8):
        index = propose(client, config)
        client.complete_trial(index, raw_data={REWARD: math.sin(i), KL: 1.0})
    return client


def test_the_experiment_of_a_client_is_the_one_that_it_changes(client):
    experiment = internals.experiment_of(client)
    index = client.attach_trial(dict(experiment.trials[0].arm.parameters))
    assert index in experiment.trials
    client.mark_trial_failed(index)
    assert experiment.trials[index].status.is_failed


def test_the_node_of_a_strategy_is_ours_and_can_be_fitted_without_a_candidate(client):
    node = internals.current_node(internals.strategy_of(client))
    assert node.name == "simplex-gp"
    assert "botorch_acqf_class" in node.generator_specs[0].generator_kwargs
    experiment = internals.experiment_of(client)
    n_trials = len(experiment.trials)
    twin = new_client(experiment)
    assert internals.strategy_of(twin).adapter is None
    fit_strategy(twin, seed=0)
    adapter = internals.strategy_of(twin).adapter
    assert isinstance(adapter, Adapter)
    assert internals.experiment_of_adapter(adapter) is experiment
    assert len(experiment.trials) == n_trials


def test_how_a_candidate_was_made_can_be_forgotten(client):
    experiment = internals.experiment_of(client)
    made = experiment.trials[7].generator_run
    made._generator_kwargs = {"acquisition_class": object}
    assert generator_run_to_dict(made)["generator_kwargs"] is not None
    internals.forget_how_it_was_made(made)
    saved = generator_run_to_dict(made)
    assert (saved["generator_kwargs"], saved["adapter_kwargs"]) == (None, None)


def test_a_trial_can_forget_how_it_ended_and_what_was_noted_of_it(client):
    trial = internals.experiment_of(client).trials[0]
    assert trial.time_completed is not None
    internals.forget_status_reason(trial)
    assert (trial.time_completed, trial.status_reason) == (None, None)
    trial.update_run_metadata({"old": 1})
    internals.set_run_metadata(trial, {"seeds": [0]})
    assert trial.run_metadata == {"seeds": [0]}


def test_data_come_row_by_row(client):
    rows = internals.data_rows(internals.experiment_of(client))
    assert all(isinstance(row, DataRow) for row in rows)
    assert {(row.trial_index, row.metric_name): row.mean for row in rows}[3, REWARD] == pytest.approx(math.sin(3))


def test_trials_can_be_put_in_order(client):
    experiment = internals.experiment_of(client)
    indices = list(experiment.trials)
    experiment._trials = dict(reversed(experiment.trials.items()))
    assert list(experiment.trials) != indices
    internals.order_trials(experiment)
    assert list(experiment.trials) == indices


def test_equality_constraints_become_columns_coefficients_and_a_right_side():
    # Ax's matrices say A x = b, one row a constraint; BoTorch wants the columns that are not zero.
    matrices = torch.tensor([[1.0, 0.0, 1.0]]), torch.tensor([[0.75]])
    ((columns, coefficients, right),) = internals.to_equality_constraints(matrices)
    assert (columns.tolist(), coefficients.tolist(), right) == ([0, 2], [1.0, 1.0], 0.75)
