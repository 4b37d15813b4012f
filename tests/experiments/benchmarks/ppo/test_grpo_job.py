import io
import json
import sys
from dataclasses import asdict, replace

import pytest

from experiments.benchmarks.ppo.grpo_job import make_trainer
from experiments.benchmarks.ppo.jobs import EMBEDDED, speed_job
from experiments.benchmarks.ppo.trl_job import in_turns
from inner_loop.models.reward_models import load_reward_model, score_responses


def test_a_step_of_the_benchmark_is_all_updates_on_one_batch(tmp_path, monkeypatch, capsys):
    job = replace(speed_job(EMBEDDED).shortened(), batch=8, epochs=2)
    trainer, reward = make_trainer(asdict(job), str(tmp_path))
    shown = []
    monkeypatch.setattr(type(reward), "__call__", seen(type(reward).__call__, shown))
    monkeypatch.setattr(sys, "stdin", io.StringIO("step 2\n"))
    with pytest.raises(SystemExit):
        in_turns(trainer, lambda: reward.n_tokens, updates=job.epochs)
    ready, steps, end = (json.loads(line[1:]) for line in capsys.readouterr().out.splitlines() if line[0] == "@")
    assert ready == {}
    assert steps["tokens"] == 2 * 8 * 4  # never an end before the limit
    assert steps["cpu_seconds"] > 0
    assert end["peak_mb"] > 0
    assert trainer.state.global_step == 4
    # The same reward as ours, for groups of the job's size.
    assert len(shown) == 2
    prompts, completions, scores = shown[0]
    assert len(prompts) == 8
    assert len(set(prompts)) == 2
    assert scores == pytest.approx(score_responses(load_reward_model("embedded"), prompts, completions), abs=1e-3)


def seen(call, shown):
    def counted(self, prompts, completions, **known):
        scores = call(self, prompts, completions, **known)
        shown.append((prompts, completions, scores))
        return scores

    return counted
