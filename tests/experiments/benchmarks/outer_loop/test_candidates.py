import math

import numpy as np
import pytest
import torch
from ax.generators.torch.botorch_modular.acquisition import Acquisition

from bo_shaping.generation.acquisition import SimplexAcquisition
from experiments.benchmarks.outer_loop import candidates
from experiments.benchmarks.outer_loop.candidates import N_STATES, SETTINGS, bars, compared, make_state, table_of


def test_a_state_is_a_function_of_its_number():
    for index in (0, 1, 8, 9):
        state, twin = make_state(index), make_state(index)
        np.testing.assert_array_equal(state.points, twin.points)
        np.testing.assert_array_equal(state.rewards, twin.rewards)
        k = state.setting.n_components
        np.testing.assert_allclose(state.points[:, :k].sum(axis=1), 1.0)
        for column, (low, high) in enumerate(state.parameters.values(), start=k):
            assert ((low <= state.points[:, column]) & (state.points[:, column] <= high)).all()


def test_both_settings_and_all_lengths_are_among_the_states():
    states = [make_state(index) for index in range(N_STATES)]
    assert {(state.setting.name, len(state.points)) for state in states} == {
        (setting.name, n) for setting in SETTINGS for n in (12, 20, 30)
    }


class Stub(SimplexAcquisition):
    """An acquisition whose value is its first coordinate, without Ax's constructor."""

    def __init__(self):
        self.acqf = lambda X: X[..., 0].squeeze(-1)

    X_observed = torch.tensor([[0.2, 0.8]])


def test_both_optimisers_get_the_same_function_and_ours_is_used(monkeypatch):
    before = SimplexAcquisition.optimize
    found = {"ours": torch.tensor([[0.5, 0.5]]), "theirs": torch.tensor([[0.2, 0.8]])}
    monkeypatch.setattr(SimplexAcquisition, "optimize", lambda self, n: (found["ours"], None, None))
    monkeypatch.setattr(Acquisition, "optimize", lambda self, n: (found["theirs"], None, None))
    mine = SimplexAcquisition.optimize
    with compared() as record:
        assert Stub().optimize(1)[0] is found["ours"]
    assert SimplexAcquisition.optimize is mine
    [seen] = record
    assert seen["ours_value"] - seen["theirs_value"] == pytest.approx(0.3)
    assert seen["nearest"] == pytest.approx(0.0)
    monkeypatch.undo()
    assert SimplexAcquisition.optimize is before


def row(setting, ours, ratio, n_trials=30):
    return {
        "setting": setting.name,
        "n_trials": n_trials,
        "ours_cpu_seconds": ours,
        "ax_optimiser_cpu_seconds": 4.0,
        "value_ratio": ratio,
        "ax_repeats_an_arm": False,
    }


def test_what_was_measured_by_this_code_is_not_measured_again(tmp_path, monkeypatch):
    asked = []
    monkeypatch.setattr(candidates, "propose_in", lambda state: asked.append(state) or row(state.setting, 0.5, 1.0, 12))
    monkeypatch.setattr(candidates, "plain_seconds", lambda state: 5.0)
    monkeypatch.setattr(candidates, "optuna_seconds", lambda state: 0.1)
    lines = tmp_path / "lines.jsonl"
    first = candidates.measure(lines, n_states=4, n_plain=1)
    assert len(asked) == 5  # once to warm up
    assert ["plain" in line for line in first["states"]] == [True, True, False, False]
    assert candidates.measure(lines, n_states=4, n_plain=1) == first
    assert len(asked) == 5
    lines.write_text(lines.read_text().replace(first["states"][0]["code"], "other code"))
    candidates.measure(lines, n_states=4, n_plain=1)
    assert len(asked) == 10


def test_a_better_value_does_not_make_up_for_a_worse_one():
    small, large = SETTINGS
    states = [row(small, 0.5, 0.9), row(small, 0.5, math.e), row(large, 2.5, 1.0), row(large, 9.0, 1.0, n_trials=12)]
    states[0]["plain"] = {"ax": 5.0, "optuna_gp": 0.1}
    result = {"states": states}
    fast, slow, value = bars(result)
    assert (fast.value, fast.passed) == (0.5, True)
    assert (slow.value, slow.passed) == (2.5, False)
    assert value.value == pytest.approx((0.9 + 3) / 4)
    assert not value.passed
    assert "1 / 1 of 2" in table_of(result)
