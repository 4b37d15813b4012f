import json
import subprocess
import sys
from itertools import islice

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from inner_loop import TrialResult, TrialSpec, result_of, run_trial
from inner_loop.credit_similarity import credit_similarity
from inner_loop.errors import DivergedError, RewardModelError
from inner_loop.spec import CurvePoint, TrialProgress

PPO = {"steps": 3, "rollout_size": 4, "minibatch_size": 4, "epochs": 1, "precision": "float32"}
TINY = {
    "ppo": PPO,
    "evaluation": {"n_prompts": 8, "every": 2},
    "task": {"response_tokens": 6},
    "n_samples": 2,
}


def run(spec, **kwargs):
    events = []
    result = result_of(run_trial(spec, **kwargs), heard=events.append)
    return events, result


@pytest.fixture(scope="module")
def mixed():
    return run(TrialSpec(weights={"shap": 0.5, "lime": 0.2, "sparse": 0.3}, **TINY))


def test_every_step_is_reported_and_the_curve_has_its_points(mixed):
    events, result = mixed
    assert [event.step for event in events] == [0, 1, 2, 3]
    assert [event.step for event in events if event.point] == [0, 2, 3]
    assert [point.step for point in result.curve] == [0, 2, 3]
    assert events[-1].point == result.curve[-1]
    assert (result.mean, result.sem, result.kl) == (result.curve[-1].mean, result.curve[-1].sem, result.curve[-1].kl)
    assert len(result.scores) == 8
    assert len(result.steps) == 3


def test_the_result_survives_json_exactly(mixed):
    assert TrialResult.model_validate(json.loads(mixed[1].model_dump_json())) == mixed[1]


def test_samples_carry_conserved_credit_of_every_component_of_the_weights(mixed):
    samples = mixed[1].samples
    assert len(samples) == 2
    for sample in samples:
        assert "".join(sample.tokens) == sample.response
        assert set(sample.components) == {"shap", "lime", "sparse"}
        for values in [*sample.components.values(), sample.rewards]:
            assert len(values) == len(sample.tokens)
            assert sum(values) == pytest.approx(sample.score, abs=1e-4)


def timeless(result):
    return result.model_dump(exclude={"seconds", "tokens_per_second", "peak_memory_mb"})


def tiny_spec(weights=None, seed=0, **ppo):
    return TrialSpec(weights=weights or {"sparse": 1.0}, seed=seed, **(TINY | {"ppo": PPO | ppo}))


def test_equal_specs_give_equal_results(mixed):
    _, again = run(TrialSpec(weights={"shap": 0.5, "lime": 0.2, "sparse": 0.3}, **TINY))
    assert timeless(again) == timeless(mixed[1])


def test_the_time_and_memory_a_trial_took_are_in_its_result(mixed):
    result = mixed[1]
    assert set(result.seconds) == {"setup", "sample", "attribute", "update", "evaluate", "explain"}
    n_tokens = 4 * sum(stats.length for stats in result.steps)
    expected = n_tokens / sum(result.seconds[phase] for phase in ("sample", "attribute", "update"))
    assert result.tokens_per_second == pytest.approx(expected)
    assert result.peak_memory_mb > 100


def test_the_area_under_the_curve_is_the_mean_score_per_step(mixed):
    usual = mixed[1].curve[0].model_dump()
    curve = [CurvePoint(**(usual | {"step": step, "mean": mean})) for step, mean in [(0, 1.0), (4, 3.0), (6, 0.0)]]
    # Trapezes: 4 * (1 + 3) / 2 + 2 * (3 + 0) / 2 = 11, over 6 steps.
    assert mixed[1].model_copy(update={"curve": curve}).auc == pytest.approx(11 / 6)
    assert mixed[1].model_copy(update={"curve": curve[:1]}).auc == 1.0


@pytest.mark.parametrize(
    ("weights", "settings"),
    [
        ({"sparse": 1.0}, {"algorithm": "grpo"}),
        ({"shap": 0.5, "sparse": 0.5}, {"algorithm": "ppo"}),
        ({"prefix": 1.0}, {"algorithm": "ppo", "centre_credit": True}),
    ],
)
def test_a_trial_that_was_cut_short_ends_as_if_it_had_not_been(tmp_path, weights, settings):
    spec = tiny_spec(weights, samples_per_prompt=2, steps=4, adaptive_kl=0.1, reward_scale="running", **settings)
    events, expected = run(spec)
    interrupted = run_trial(spec, folder=tmp_path, checkpoint_every=1)
    for _ in range(4):  # the start, and three steps; the checkpoint of the third is not written yet
        next(interrupted)
    interrupted.close()
    again, result = run(spec, folder=tmp_path, checkpoint_every=1)
    assert again == events
    assert timeless(result) == timeless(expected)


def test_a_process_that_is_killed_is_continued_by_another_to_the_same_end(tmp_path):
    spec = tiny_spec({"shap": 0.5, "sparse": 0.5}, steps=4)
    script = (
        "import os, sys\nfrom inner_loop import TrialSpec, run_trial\n"
        "trial = run_trial(TrialSpec.model_validate_json(sys.argv[1]), folder=sys.argv[2], checkpoint_every=1)\n"
        "[next(trial) for _ in range(4)]\nos.kill(os.getpid(), 9)\n"
    )
    killed = subprocess.run([sys.executable, "-c", script, spec.model_dump_json(), str(tmp_path)], check=False)
    assert killed.returncode == -9
    assert [file.name for file in tmp_path.iterdir()] == ["checkpoint.safetensors"]
    events, result = run(spec, folder=tmp_path)
    expected_events, expected = run(spec)
    assert events == expected_events
    assert timeless(result) == timeless(expected)


def test_a_trial_continues_at_its_last_checkpoint(tmp_path):
    scored = []

    def reward_model(texts):
        scored.append(len(texts))
        return [float(len(text)) for text in texts]

    spec = tiny_spec(steps=5)
    first = run_trial(spec, folder=tmp_path, checkpoint_every=2, reward_model=reward_model)
    for _ in range(5):
        next(first)
    first.close()
    scored.clear()
    run(spec, folder=tmp_path, checkpoint_every=2, reward_model=reward_model)
    # The killed run had reached step 4, whose checkpoint was not written yet: on from step 2, with steps of 4 responses
    # and validations of 8 after steps 4 and 5.
    assert scored[:5] == [4, 4, 8, 4, 8]


def test_a_trial_that_is_done_is_not_run_again_and_leaves_no_checkpoint(tmp_path):
    spec = tiny_spec()
    events, result = run(spec, folder=tmp_path, checkpoint_every=1)
    assert [file.name for file in tmp_path.iterdir()] == ["result.json"]

    def reward_model(texts):
        raise AssertionError("nothing should be scored")

    assert run(spec, folder=tmp_path, reward_model=reward_model) == (events, result)


@pytest.mark.parametrize("is_done", [True, False])
def test_what_another_spec_left_in_the_folder_is_not_used(tmp_path, is_done):
    other = run_trial(tiny_spec(seed=5), folder=tmp_path, checkpoint_every=1)
    list(islice(other, None if is_done else 3))
    other.close()
    assert any(tmp_path.iterdir())
    _, result = run(tiny_spec(), folder=tmp_path)
    assert timeless(result) == timeless(run(tiny_spec())[1])


def test_a_kl_target_ends_the_training_with_a_result(tmp_path):
    events, result = run(tiny_spec(steps=6, learning_rate=3e-3, stop_at_kl=0.05))
    n_steps = len(result.steps)
    assert 0 < n_steps < 6
    assert result.stopped.startswith(f"After {n_steps} steps the KL of a rollout was")
    assert result.curve[-1].step == events[-1].step == n_steps
    assert all(stats.kl <= 0.05 for stats in result.steps)
    assert timeless(run(tiny_spec(steps=6, learning_rate=3e-3))[1])["stopped"] is None


def test_a_runaway_kl_ends_the_trial_with_a_reason():
    with pytest.raises(DivergedError, match=r"The KL to the reference reached .* nats, over ppo\.max_kl = 0\.01\."):
        run(tiny_spec(steps=6, learning_rate=3e-3, max_kl=0.01))


def test_a_saved_policy_is_an_ordinary_folder_with_the_trained_weights(tmp_path):
    folder = tmp_path / "policy"
    _, result = run(tiny_spec(learning_rate=1e-3), save_policy=folder)
    model, tokenizer = AutoModelForCausalLM.from_pretrained(folder), AutoTokenizer.from_pretrained(folder)
    assert model.dtype == torch.float32
    spec = tiny_spec(steps=0)
    spec = spec.model_copy(update={"task": spec.task.model_copy(update={"policy": str(folder)})})
    assert run(spec)[1].scores == result.scores
    assert tokenizer("the film")["input_ids"]


def test_any_callable_is_a_reward_model():
    _, result = run(TrialSpec(weights={"sparse": 1.0}, **TINY), reward_model=lambda texts: [3.0] * len(texts))
    assert result.mean == 3.0
    assert result.sem == 0.0


def test_a_reward_model_that_breaks_stops_the_trial():
    with pytest.raises(RewardModelError, match="nan"):
        run(TrialSpec(weights={"sparse": 1.0}, **TINY), reward_model=lambda texts: [float("nan")] * len(texts))


def test_what_the_policy_said_before_its_first_step_is_kept_and_survives_a_resume(tmp_path):
    spec = TrialSpec(weights={"shap": 0.5, "sparse": 0.5}, **TINY)
    whole = result_of(run_trial(spec))
    assert [sample.prompt for sample in whole.before] == [sample.prompt for sample in whole.samples]
    assert all(sum(sample.rewards) == pytest.approx(sample.score, abs=1e-4) for sample in whole.before)
    started = run_trial(spec, folder=tmp_path, checkpoint_every=1)
    for _ in range(3):
        next(started)
    started.close()
    events, resumed = run(spec, folder=tmp_path, checkpoint_every=1)
    assert resumed.before == whole.before
    # The first event says how alike the components pay there, and only that one: also of a training that is done.
    measured = credit_similarity(["shap", "sparse"], whole.before)
    assert measured.n_responses == 2
    assert [event.similarity for event in events] == [measured, None, None, None]
    assert run(spec, folder=tmp_path)[0] == events
    assert TrialProgress.model_validate_json(events[0].model_dump_json()) == events[0]
