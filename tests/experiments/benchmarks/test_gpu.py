from dataclasses import replace

import pytest
import torch

from experiments.benchmarks import gpu
from inner_loop.models.reward_models import load_reward_model


def measured(wall, tokens, attribute, update):
    phases = [{"attribute": part, "update": other} for part, other in zip(attribute, update, strict=True)]
    return {"wall_seconds": wall, "tokens": tokens, "peak_mb": 100.0, "phases": phases}


RESULT = {
    gpu.SPARSE: measured([1.0, 2.0, 1.0], [100, 100, 100], [0.1, 0.1, 0.5], [0.9, 0.9, 0.9]),
    gpu.DENSE: measured([2.0, 2.0, 2.0], [100, 100, 100], [0.6, 0.6, 0.9], [1.4, 1.4, 1.4]),
    gpu.TRL: {"wall_seconds": [4.0, 5.0, 4.0], "tokens": [100, 100, 100], "peak_mb": 200.0, "peak_gpu_mb": 50.0},
}


def test_credit_is_what_a_step_takes_beyond_scoring():
    # 0.6 with credit, 0.1 without, of a step of 2.0: a quarter.
    assert gpu.credit_share(RESULT) == pytest.approx(0.25)


def test_the_table_is_in_units_of_trl():
    text = gpu.speed_table(RESULT)
    assert "| ours, PPO             | 1.000        | 100        | 4.00x    | 100" in text
    assert "| trl, GRPO             | 4.000        | 25         | 1.00x    | 200       | 50" in text
    assert "credit takes 25% of a step" in text


def test_models_of_a_size_are_drawn_and_can_be_loaded(tmp_path):
    size = replace(gpu.SIZES["quick"], hidden_size=32, n_layers=2)
    job = gpu.make_job(size, tmp_path)
    assert (len(job.prompts), len(job.prompts[0]), job.batch) == (64, 8, 8)
    model = load_reward_model(job.reward_model)
    assert model.model.config.hidden_size == 32
    assert len(model.score(job.texts[:3])) == 3
    weights = model.model.model.embed_tokens.weight
    (tmp_path / "again").mkdir()
    again = load_reward_model(gpu.make_job(size, tmp_path / "again").reward_model)
    assert torch.equal(weights, again.model.model.embed_tokens.weight)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_without_a_gpu_it_says_what_runs_without_one(capsys):
    assert gpu.main([]) == 2
    assert "PyTorch sees no GPU here; --device cpu runs a smaller job" in capsys.readouterr().err


def test_both_sides_take_their_steps_and_tell_of_them(monkeypatch):
    monkeypatch.setattr(gpu, "contenders", lambda job, precision: {gpu.DENSE: gpu.ours(job, precision, dense=True)})
    result = gpu.measure_speed("cpu", gpu.SIZES["quick"], until=0.0)
    assert result[gpu.DENSE]["tokens"] == [32.0]  # at least one step, whatever the time
    assert result[gpu.DENSE]["peak_mb"] > 100
    [phases] = result[gpu.DENSE]["phases"]
    assert set(phases) == {"sample", "attribute", "update"}
    assert 0 < sum(phases.values()) <= result[gpu.DENSE]["wall_seconds"][0]
