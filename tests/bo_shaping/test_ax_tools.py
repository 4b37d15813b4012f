"""Ax's own tools on a study: its client, its cards, its files."""

import json
import subprocess
import sys

import pytest
from ax.api.client import Client
from ax.generators.torch.botorch_modular.generator import BoTorchGenerator

from bo_shaping import Study
from bo_shaping.generation.acquisition import SimplexAcquisition
from bo_shaping.libraries.ax_internals import strategy_of
from bo_shaping.storage.portable import KEY
from tests.bo_shaping import closed_form


def test_the_client_is_ax_own_and_can_propose_and_predict(finished):
    client = finished.ax_client
    assert type(client) is Client
    (prediction,) = client.predict([dict(client._experiment.trials[3].arm.parameters)])
    assert set(prediction) == {"reward", "kl"}
    parameters, *_ = client.get_best_parameterization()
    assert sum(parameters[f"w_{name}"] for name in closed_form.OPTIMUM) == pytest.approx(1.0)
    # What is done to it stays in memory.
    client.attach_trial({"w_shap": 0.1, "w_lime": 0.2, "w_sparse": 0.7, "gae_lambda": 0.6})
    assert len(Study.load("closed").ax_client._experiment.trials) == 10


def test_the_best_arm_is_looked_for_when_somebody_asks_and_not_for_every_candidate(finished, monkeypatch):
    asked = []
    monkeypatch.setattr(BoTorchGenerator, "best_point", lambda *_, **__: asked.append(1))
    client = finished.ax_client
    (index,) = client.get_next_trials(max_trials=1)
    assert not asked
    assert client._experiment.trials[index].generator_run.best_arm_predictions is None
    strategy_of(client).adapter.model_best_point()
    assert asked


def test_axs_own_tools_show_what_was_measured(finished):
    summary = finished.ax_client.summarize().set_index("trial_index")
    assert summary["reward"].tolist() == pytest.approx(finished.trials()["mean"].tolist(), abs=1e-6)
    assert summary["kl"].tolist() == pytest.approx(finished.trials()["kl"].tolist(), abs=1e-6)


OBJECTIVES = {
    "final": {"measure": "final", "max_kl": None},
    "budget": {"measure": "final", "max_kl": 6.0},
    "area": {"measure": "auc", "max_kl": None},
    "front": {"measure": "final", "pareto": True, "max_kl": None},
}


def names_of_cards(client):
    """The names of all cards of Ax, none of which may have failed."""
    from ax.core.analysis_card import AnalysisCardGroup, ErrorAnalysisCard

    todo, names = list(client.compute_analyses(display=False)), set()
    while todo:
        card = todo.pop()
        assert not isinstance(card, ErrorAnalysisCard), card.df
        names.add(card.name)
        todo += card.children if isinstance(card, AnalysisCardGroup) else []
    return names


@pytest.mark.parametrize("objective", OBJECTIVES.values(), ids=OBJECTIVES)
def test_every_card_of_ax_that_applies_is_there_and_none_fails(make_config, objective):
    study = Study.launch(make_config(objective=objective, budget={"trials": 8}))
    study.run()
    client = study.ax_client
    names = names_of_cards(client)
    assert {"Summary", "ArmEffectsPlot", "SensitivityAnalysisPlot", "CrossValidationPlot"} <= names
    assert ("ObjectivePFeasibleFrontierPlot" in names) == (objective.get("max_kl") is not None)
    # Also after the client has gone on.
    ((index, _),) = client.get_next_trials(max_trials=1).items()
    client.complete_trial(index, raw_data={"reward": 1.0, "kl": 4.0})
    client.get_next_trials(max_trials=1)
    assert names_of_cards(client) >= names


def test_axs_frontier_of_reward_and_feasibility_is_on_the_simplex(make_config):
    from ax.analysis.plotly.objective_p_feasible_frontier import ObjectivePFeasibleFrontierPlot

    study = Study.launch(make_config(objective={"measure": "final", "max_kl": 6.0}, budget={"trials": 8}))
    study.run()
    client = study.ax_client
    plot = ObjectivePFeasibleFrontierPlot()
    client.compute_analyses(analyses=[plot], display=False)
    assert len(plot.additional_arms) >= 3
    for arm in plot.additional_arms:
        assert sum(arm.parameters[f"w_{name}"] for name in closed_form.OPTIMUM) == pytest.approx(1.0)
    # The client generates as it did, and one candidate only.
    ((_, parameters),) = client.get_next_trials(max_trials=1).items()
    assert sum(parameters[f"w_{name}"] for name in closed_form.OPTIMUM) == pytest.approx(1.0)
    assert strategy_of(client).adapter.generator.acquisition_class is SimplexAcquisition


def test_ax_proposes_and_saves_from_the_client_of_a_study(finished, tmp_path):
    client = finished.ax_client
    ((index, parameters),) = client.get_next_trials(max_trials=1).items()
    assert index == 10
    assert sum(parameters[f"w_{name}"] for name in closed_form.OPTIMUM) == pytest.approx(1.0)
    client.complete_trial(index, raw_data={"reward": 1.0, "kl": 4.0})
    assert len(client.summarize()) == 11
    assert finished.ax_client is client
    finished.attach({"shap": 1.0, "gae_lambda": 0.7}, mean=1.0, kl=3.0)
    assert finished.ax_client is not client


def test_snapshot_and_database_load_in_plain_ax(finished):
    from ax.storage.sqa_store.db import session_context
    from ax.storage.sqa_store.load import load_experiment

    client = Client.load_from_json_file(str(finished.path / "ax_experiment.json"))
    with session_context(url=finished.folder.storage):
        experiment = load_experiment("closed")
    expected = pytest.approx(finished.trials()["mean"].tolist(), abs=1e-8)
    for loaded in (client._experiment, experiment):
        rewards = loaded.lookup_data().df.query("metric_name == 'reward'").sort_values("trial_index")["mean"].tolist()
        assert rewards == expected
        assert loaded.status_quo.parameters["w_sparse"] == 1.0
    content = json.loads((finished.path / "ax_experiment.json").read_text())
    del content["experiment"]["properties"][KEY]
    assert "bo_shaping" not in json.dumps(content)


def test_the_snapshot_loads_where_this_package_was_never_imported(finished):
    load = (
        "import sys; from ax.api.client import Client; client = Client.load_from_json_file(sys.argv[1]); "
        "assert not any(name.startswith('bo_shaping') for name in sys.modules); "
        "client.get_next_trials(max_trials=1); print(len(client._experiment.trials))"
    )
    assert "model" in set(finished.trials()["origin"])
    command = [sys.executable, "-c", load, str(finished.path / "ax_experiment.json")]
    run = subprocess.run(command, capture_output=True, text=True)
    assert run.stdout == "11\n", run.stderr[-500:]
