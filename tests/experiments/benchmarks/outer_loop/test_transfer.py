import numpy as np
import pytest

from bo_shaping.config import RelatedTask
from experiments.benchmarks.outer_loop import transfer, transfer_models
from experiments.benchmarks.outer_loop.methods import study_config
from experiments.benchmarks.outer_loop.problems import EmulatedProblem, wide_emulator
from experiments.benchmarks.outer_loop.related_studies import N_STUDIES, load
from experiments.benchmarks.outer_loop.related_tasks import TASKS


def test_every_related_task_has_whole_studies_which_a_new_one_can_learn_from():
    assert sorted(load()) == sorted((task, number) for task in TASKS for number in range(N_STUDIES))
    problem = EmulatedProblem(0, transfer.COMPONENTS)
    for task in TASKS:
        for index in range(N_STUDIES):
            [related] = study_config(problem, 0, transfer.older(task, index)).related
            assert len(related.trials) == transfer.N_OLDER
            assert all(sum(trial.weights.values()) == pytest.approx(1) for trial in related.trials)
            # They are not all the same.
            assert np.std([trial.outcomes["reward"] for trial in related.trials]) > 0.1
    assert transfer.older(transfer.COLD, 0) == []


def test_a_random_surface_varies_as_much_as_the_real_one():
    points = np.random.default_rng(0).random((500, 12))
    spread = wide_emulator()[0](points).std()
    surfaces = [transfer._random_surface(number)(points) for number in range(3)]
    assert [surface.std() for surface in surfaces] == pytest.approx([spread] * 3, rel=0.2)
    assert abs(np.corrcoef(surfaces)[np.triu_indices(3, 1)]).max() < 0.9


def test_studies_are_compared_on_the_rounds_of_both():
    lines = [
        {"kind": kind, "index": index, "regret": {"4": regret, "8": regret / 2}}
        for kind, regrets in (("none", [0.8, 0.4, 0.1]), ("half", [0.4, 0.2]))
        for index, regret in enumerate(regrets)
    ]
    rows = {(row["older"], row["after"]): row for row in transfer.measure(lines)}
    assert rows["half", 4]["beside_none"][0] == pytest.approx(0.5)
    assert rows["half", 4]["studies"] == 2
    assert rows["none", 8]["regret"] == pytest.approx((0.4 + 0.2 + 0.05) / 3)
    assert "half the steps" in transfer.table_of(list(rows.values()))


def test_all_models_predict_the_same_points(monkeypatch):
    trials = transfer.older("reward", 0)
    assert RelatedTask.model_validate(trials[0]).source == "reward"
    found = transfer_models.compare("reward", 0, 4)
    assert list(found) == list(transfer_models.MODELS)
    assert all(0 < error < 2 and 0 <= loss < 3 for error, loss in found.values())
