import json

import numpy as np
import pytest

from experiments.benchmarks.ppo import curves
from experiments.benchmarks.ppo.contenders import ContenderError


def result(*shifts, start=0.0):
    """Curves of three points on the CPU, and the same on the device but for a shift of the rewards by seed."""
    cpu = [[[0, 0.0, 0.0], [2, 0.5, 1.0], [4, 1.0, 2.0]] for _ in shifts]
    device = [
        [[step, mean + (shift if step else start), kl] for step, mean, kl in curve]
        for shift, curve in zip(shifts, cpu, strict=True)
    ]
    return {"seeds": list(range(len(shifts))), "cpu": cpu, "device": device}


def test_a_shift_that_all_seeds_share_is_no_noise():
    start, shifted = curves.bars(result(0.3, 0.31, 0.29))
    assert start.passed
    assert not shifted.passed
    _, scattered = curves.bars(result(0.3, -0.31, 0.02))
    assert scattered.passed
    assert scattered.note.startswith("difference 0.003")


def test_equal_curves_differ_by_nothing():
    assert curves.gap(result(0.0, 0.0)).to_list() == [0.0, 0.0, 0.0]
    assert all(bar.passed for bar in curves.bars(result(0.0, 0.0)))


def test_one_seed_says_nothing_of_noise_and_another_start_is_seen():
    [start] = curves.bars(result(0.3))
    assert start.passed
    assert not curves.bars(result(0.0, 0.0, start=0.2))[0].passed


def test_the_table_has_both_sides():
    assert "| 4      | 1.000         | 1.100            | 2.000" in curves.table_of(result(0.1, 0.1))


def test_the_worker_prints_the_curve_of_each_trial(tmp_path, capsys):
    specs = curves.trial_specs(seeds=2, steps=1, n_prompts=4)
    small = [{**spec.model_dump(mode="json"), "task": {"response_tokens": 4}} for spec in specs]
    (tmp_path / "trials.json").write_text(json.dumps(small))
    curves.run_trials(tmp_path / "trials.json")
    lines = [json.loads(line[1:]) for line in capsys.readouterr().out.splitlines()]
    assert [line["seed"] for line in lines] == [0, 1]
    assert [point[0] for point in lines[0]["curve"]] == [0, 1]
    assert np.isfinite(lines[0]["curve"]).all()


def test_without_time_there_is_no_result():
    with pytest.raises(ContenderError, match="no time for a single trial"):
        curves.measure("cpu", curves.trial_specs(1, 1, 4), until=0.0)
