"""Trials trained by TRL keep the promises of ours."""

import json
import subprocess
import sys

import pytest
import torch
from transformers import AutoModelForCausalLM

from inner_loop import TrialResult, TrialSpec, result_of
from inner_loop.errors import DivergedError, TaskError
from inner_loop.integrations.trl import run_trial
from inner_loop.models.model_source import model_source
from inner_loop.trial import run_trial as run_own
from tests.inner_loop.integrations.test_trl_processes import run_two

PPO = {
    "algorithm": "grpo",
    "samples_per_prompt": 2,
    "steps": 3,
    "rollout_size": 4,
    "minibatch_size": 4,
    "epochs": 1,
    "precision": "float32",
}
TINY = {"ppo": PPO, "evaluation": {"n_prompts": 8, "every": 2}, "task": {"response_tokens": 6}, "n_samples": 2}


def tiny_spec(weights=None, seed=0, task=None, **ppo):
    settings = TINY | {"ppo": PPO | ppo, "task": TINY["task"] | (task or {})}
    return TrialSpec(weights=weights or {"sparse": 1.0}, seed=seed, **settings)


def run(spec, **kwargs):
    events = []
    result = result_of(run_trial(spec, **kwargs), heard=events.append)
    return events, result


def timeless(result):
    return result.model_dump(exclude={"seconds", "tokens_per_second", "peak_memory_mb"})


MIXED = {"shap": 0.5, "entropy": 0.2, "sparse": 0.3}


@pytest.fixture(scope="module")
def mixed():
    return run(tiny_spec(MIXED))


def test_every_step_is_reported_and_the_curve_has_its_points(mixed):
    events, result = mixed
    assert [event.step for event in events] == [0, 1, 2, 3]
    assert [event.step for event in events if event.point] == [0, 2, 3]
    assert [point.step for point in result.curve] == [0, 2, 3]
    assert (result.mean, result.sem, result.kl) == (result.curve[-1].mean, result.curve[-1].sem, result.curve[-1].kl)
    assert len(result.scores) == 8
    assert [event.score for event in events[1:]] == [stats.score for stats in result.steps]
    assert TrialResult.model_validate(json.loads(result.model_dump_json())) == result


def test_the_start_is_judged_as_our_own_training_judges_it(mixed):
    # The same prompts, noise and measures, and a KL of exactly zero.
    own = result_of(run_own(tiny_spec(steps=0)))
    assert mixed[1].curve[0].mean == pytest.approx(own.mean, abs=1e-4)
    assert mixed[1].curve[0].length == own.curve[0].length
    assert mixed[1].curve[0].kl == 0


def test_steps_and_samples_are_filled_in(mixed):
    result = mixed[1]
    for stats in result.steps:
        assert stats.optimizer_steps == 1
        assert stats.n_evaluations > 4
        assert 1 <= stats.length <= 6
        assert stats.grad_norm > 0
        assert stats.entropy > 0
    assert abs(result.steps[0].kl) < 1e-4
    for sample in result.samples:
        assert set(sample.components) == set(MIXED)
        assert sum(sample.rewards) == pytest.approx(sample.score, abs=1e-4)
    assert set(result.seconds) == {"setup", "sample", "attribute", "update", "evaluate", "explain"}
    assert all(seconds > 0 for seconds in result.seconds.values())
    assert result.prompts.judged == 8


def test_equal_specs_give_equal_results_whatever_was_drawn_before(mixed):
    torch.manual_seed(99)
    assert timeless(run(tiny_spec(MIXED))[1]) == timeless(mixed[1])


def test_another_seed_or_mixture_trains_otherwise(mixed):
    assert run(tiny_spec(MIXED, seed=1))[1].scores != mixed[1].scores
    assert run(tiny_spec())[1].mean != mixed[1].mean


TWO_EPOCHS = {"learning_rate": 1e-3, "epochs": 2}


@pytest.fixture(scope="module")
def two_epochs():
    return run(tiny_spec(MIXED, **TWO_EPOCHS))[1]


@pytest.mark.parametrize(
    "ppo", [{"gae_lambda": 0.2}, {"to_sparse": 1.0}, {"algorithm": "rloo"}, {"kl_coef": 3.0}, {"temperature": 0.5}]
)
def test_every_setting_that_is_taken_over_changes_the_training(two_epochs, ppo):
    assert run(tiny_spec(MIXED, **(TWO_EPOCHS | ppo)))[1].steps[-1] != two_epochs.steps[-1]


@pytest.mark.parametrize("settings", [{}, {"epochs": 2, "minibatch_size": 2, "accumulate": 2, "algorithm": "rloo"}])
def test_a_trial_that_was_cut_short_ends_as_if_it_had_not_been(tmp_path, settings):
    spec = tiny_spec({"shap": 0.5, "sparse": 0.5}, steps=4, learning_rate=1e-3, **settings)
    events, expected = run(spec)
    interrupted = run_trial(spec, folder=tmp_path, checkpoint_every=1)
    for _ in range(4):  # the start, and three steps; the checkpoint of the third is not written yet
        next(interrupted)
    interrupted.close()
    assert json.loads((tmp_path / "trl" / "trial.json").read_text())["steps"][1]
    again, result = run(spec, folder=tmp_path, checkpoint_every=1)
    assert again == events
    assert timeless(result) == timeless(expected)
    assert [file.name for file in tmp_path.iterdir()] == ["result.json"]
    assert run(spec, folder=tmp_path, reward_model=lambda texts: 1 / 0) == (again, result)


def test_a_process_that_is_killed_is_continued_by_another_to_the_same_end(tmp_path):
    spec = tiny_spec({"shap": 0.5, "sparse": 0.5}, steps=4)
    script = (
        "import os, sys\nfrom inner_loop import TrialSpec\nfrom inner_loop.integrations.trl import run_trial\n"
        "trial = run_trial(TrialSpec.model_validate_json(sys.argv[1]), folder=sys.argv[2], checkpoint_every=1)\n"
        "[next(trial) for _ in range(4)]\nos.kill(os.getpid(), 9)\n"
    )
    killed = subprocess.run([sys.executable, "-c", script, spec.model_dump_json(), str(tmp_path)], check=False)
    assert killed.returncode == -9
    events, result = run(spec, folder=tmp_path)
    assert [event.step for event in events] == [0, 1, 2, 3, 4]
    assert timeless(result) == timeless(run(spec)[1])


@pytest.mark.parametrize("left", [{"seed": 5}, {"options": {"weight_decay": 9.0}}])
def test_what_another_spec_or_other_options_left_is_not_used(tmp_path, left):
    options = left.pop("options", None)
    other = run_trial(tiny_spec(learning_rate=1e-3, **left), folder=tmp_path, checkpoint_every=1, options=options)
    seen = [next(other) for _ in range(4)]
    other.close()
    usual = tiny_spec(learning_rate=1e-3)
    events, result = run(usual)
    assert seen[-1] != events[-1]
    assert timeless(run(usual, folder=tmp_path)[1]) == timeless(result)


def test_a_kl_target_ends_the_training_with_a_result():
    events, result = run(tiny_spec(steps=6, learning_rate=3e-3, stop_at_kl=0.05))
    n_steps = len(result.steps)
    assert 0 < n_steps < 6
    assert result.stopped.startswith(f"After {n_steps} steps the KL of a rollout was")
    assert result.curve[-1].step == events[-1].step == n_steps
    assert all(stats.kl <= 0.05 for stats in result.steps)


def test_a_runaway_kl_ends_the_trial_with_a_reason():
    with pytest.raises(DivergedError, match=r"The KL to the reference reached .* nats, over ppo\.max_kl = 0\.01\."):
        run(tiny_spec(steps=6, learning_rate=3e-3, max_kl=0.01))


def test_a_saved_policy_is_an_ordinary_folder_with_the_trained_weights(tmp_path):
    folder = tmp_path / "policy"
    _, result = run(tiny_spec(learning_rate=1e-3), save_policy=folder)
    assert AutoModelForCausalLM.from_pretrained(folder).dtype == torch.float32
    assert not (folder / "training_args.bin").exists()
    judged = run(tiny_spec(steps=0, task={"policy": str(folder)}))[1]
    assert judged.scores == pytest.approx(result.scores, abs=1e-4)


def test_chats_are_trained_on_in_the_policys_template(tmp_path):
    template = "{% for m in messages %}{{ m['content'] }} {% endfor %}{% if add_generation_prompt %}so{% endif %}"
    source = model_source("embedded", "policy")
    tokenizer = source.tokenizer()
    tokenizer.chat_template = template
    AutoModelForCausalLM.from_pretrained(source.weights).save_pretrained(tmp_path / "policy")
    tokenizer.save_pretrained(tmp_path / "policy")
    rows = [{"messages": [{"role": "user", "content": f"the film number {number} is"}]} for number in range(40)]
    (tmp_path / "chats.jsonl").write_text("\n".join(map(json.dumps, rows)))
    task = {"policy": str(tmp_path / "policy"), "prompts": str(tmp_path / "chats.jsonl"), "max_prompt_tokens": 30}
    seen = []

    def reward_model(texts):
        seen.extend(texts)
        return [float(len(text)) for text in texts]

    result = run(tiny_spec({"shap": 1.0}, task=task), reward_model=reward_model)[1]
    assert len(result.steps) == 3
    assert all(text.startswith("the film number") for text in seen)


def test_a_spec_for_ppo_is_refused_before_anything_is_loaded():
    with pytest.raises(TaskError, match=r"ppo\.algorithm 'ppo' has a critic"):
        next(run_trial(TrialSpec(weights={"sparse": 1.0})))


def test_a_trial_can_weigh_trls_advantages_and_its_sparse_corner_is_trl(mixed):
    weighed = run(tiny_spec(MIXED, learning_rate=1e-3), advantage="weights")[1]
    assert weighed.steps[-1] != run(tiny_spec(MIXED, learning_rate=1e-3))[1].steps[-1]
    sparse = [
        run(tiny_spec(learning_rate=1e-3, gae_lambda=1.0), advantage=advantage)[1]
        for advantage in ("weights", "reward_to_go")
    ]
    assert sparse[0].scores == pytest.approx(sparse[1].scores, abs=1e-3)
    assert sparse[0].steps[0].n_evaluations == 0


SCRIPT = """
import json, sys
from inner_loop import TrialSpec, result_of
from inner_loop.integrations.trl import run_trial
from inner_loop.processes import process_index

events = []
trial = run_trial(TrialSpec.model_validate_json(sys.argv[1]), folder=sys.argv[2], checkpoint_every=1)
result = result_of(trial, heard=lambda event: events.append(event.model_dump()))
with open(f"{sys.argv[2]}-{process_index()}.json", "w") as file:
    json.dump([events, result.model_dump(exclude={"seconds"})], file)
"""


def test_two_processes_hear_the_same_and_train_one_policy(tmp_path):
    run_two(SCRIPT, tiny_spec({"shap": 1.0}).model_dump_json(), tmp_path / "trial")
    first, second = (json.loads((tmp_path / f"trial-{rank}.json").read_text()) for rank in range(2))
    assert first == second
    events, result = first
    assert [event["step"] for event in events] == [0, 1, 2, 3]
    assert len(result["scores"]) == 8
    assert result["steps"][0]["n_evaluations"] > 8
