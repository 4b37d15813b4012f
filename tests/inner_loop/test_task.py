import json

import pytest

from inner_loop.errors import RewardModelError, TaskError
from inner_loop.spec import EvaluationConfig, TaskConfig
from inner_loop.task import check_task, load_prompts, load_task, model_source


def write_prompts(folder, lines, split="train"):
    (folder / f"{split}.jsonl").write_text("\n".join(lines), encoding="utf-8")
    return TaskConfig(prompts=str(folder))


def line(text):
    return json.dumps({"prompt": text})


def test_the_embedded_task_is_complete():
    check_task(TaskConfig(), EvaluationConfig())
    task = load_task(TaskConfig(), EvaluationConfig(n_prompts=3))
    assert len(task.evaluation_prompts) == 3
    assert not any(parameter.requires_grad for parameter in task.reference.parameters())
    assert {p.text for p in task.train_prompts}.isdisjoint(p.text for p in task.evaluation_prompts)


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ([line("fine"), line("  ")], "train.jsonl:2 is an empty prompt"),
        ([line("fine"), "not json"], "train.jsonl:2 is not a JSON object"),
        ([line("word " * 40)], r"prompt 1 of .* tokens, over max_prompt_tokens = 16"),
        ([], "holds no prompts"),
    ],
)
def test_unusable_prompts_are_named(tmp_path, tokenizer, lines, message):
    config = write_prompts(tmp_path, lines)
    with pytest.raises(TaskError, match=message):
        load_prompts(config, "train", tokenizer)


def test_a_missing_prompt_file_is_named(tmp_path, tokenizer):
    with pytest.raises(TaskError, match=r"there is no file .*validation.jsonl"):
        load_prompts(TaskConfig(prompts=str(tmp_path)), "validation", tokenizer)


def test_prompts_must_be_utf8(tmp_path, tokenizer):
    (tmp_path / "train.jsonl").write_bytes('{"prompt": "café"}'.encode("latin-1"))
    with pytest.raises(TaskError, match="cannot be read as UTF-8 text"):
        load_prompts(TaskConfig(prompts=str(tmp_path)), "train", tokenizer)


def test_more_prompts_than_there_are(tmp_path, tokenizer):
    write_prompts(tmp_path, [line("one")], "validation")
    config = write_prompts(tmp_path, [line("one")])
    with pytest.raises(TaskError, match=r"n_prompts is 5, but the validation split of .* has 1 prompts"):
        check_task(config, EvaluationConfig(n_prompts=5))


@pytest.mark.parametrize("field", ["policy", "reward_model"])
def test_a_missing_model_folder_is_found_before_any_weights_are_loaded(field):
    with pytest.raises(TaskError, match=f"task.{field}: there is no model folder at './models/none'"):
        check_task(TaskConfig(**{field: "./models/none"}), EvaluationConfig())


def score_as_nan(texts):
    return [float("nan")] * len(texts)


def score_too_few(texts):
    return [0.0]


@pytest.mark.parametrize(
    ("function", "message"), [("score_as_nan", "text 0 as nan"), ("score_too_few", "1 scores for 2")]
)
def test_a_reward_model_is_tried_before_any_trial(function, message):
    config = TaskConfig(reward_model=f"tests.inner_loop.test_task:{function}")
    with pytest.raises(RewardModelError, match=message):
        check_task(config, EvaluationConfig())


def test_hub_names_pass_through():
    assert model_source("some-org/some-model", "policy") == "some-org/some-model"
