import json
import re

import pytest
from transformers import AutoTokenizer, MambaConfig, T5Config, ViTConfig

from inner_loop.errors import RewardModelError, TaskError
from inner_loop.models.model_source import ModelSource, model_source
from inner_loop.models.task import load_task
from inner_loop.models.task_check import check_task
from inner_loop.spec import EvaluationConfig, TaskConfig
from tests.inner_loop.conftest import make_tiny_policy


def write_prompts(folder, lines, split="train"):
    (folder / f"{split}.jsonl").write_text("\n".join(lines), encoding="utf-8")
    return TaskConfig(prompts=str(folder))


def line(text):
    return json.dumps({"prompt": text})


def test_the_embedded_task_is_complete():
    check_task(TaskConfig(), EvaluationConfig())
    task = load_task(TaskConfig(), EvaluationConfig(n_prompts=3))
    assert len(task.evaluation_prompts) == 3
    assert {p.text for p in task.train_prompts}.isdisjoint(p.text for p in task.evaluation_prompts)


@pytest.mark.parametrize("load", [check_task, load_task])
@pytest.mark.parametrize("split", ["validation", "heldout"])
def test_prompts_that_are_trained_on_do_not_judge(tmp_path, load, split):
    write_prompts(tmp_path, [line(text) for text in ("one", "two", "the film is", "the end")])
    config = write_prompts(tmp_path, [line("new"), line(" the film is "), line("two")], split)
    message = (
        rf"2 of the 3 prompts of the {split} split of .* stand in its train split too.* The first: ' the film is '"
    )
    with pytest.raises(TaskError, match=message):
        load(config, EvaluationConfig(n_prompts=3, split=split))
    load(config, EvaluationConfig(n_prompts=1, split=split))


def test_of_one_file_prompts_that_became_the_same_are_judged_on_and_not_trained_on(tmp_path):
    rows = [line(f"film {number} of the year is good") for number in range(10)]
    # The same but for how often they say very: cut, there are two of them.
    rows += [line(f"{'very ' * (20 + number)}long {number % 2}") for number in range(10)]
    (tmp_path / "prompts.jsonl").write_text("\n".join(rows))
    config = TaskConfig(
        prompts=str(tmp_path / "prompts.jsonl"), max_prompt_tokens=9, long_prompts="truncate", response_tokens=4
    )
    evaluation = EvaluationConfig(n_prompts=4)
    task = load_task(config, evaluation)
    trained = {prompt.text for prompt in task.train_prompts}
    assert trained.isdisjoint(prompt.text for prompt in task.evaluation_prompts)
    assert task.counts.repeated > 0
    assert task.counts.train == len(task.train_prompts)


def test_prompts_that_all_became_the_same_are_refused(tmp_path):
    rows = [line(f"film {number} {'of the best of the year ' * 9}") for number in range(20)]
    (tmp_path / "prompts.jsonl").write_text("\n".join(rows))
    config = TaskConfig(prompts=str(tmp_path / "prompts.jsonl"), max_prompt_tokens=5, long_prompts="truncate")
    with pytest.raises(TaskError, match=r"cut to 5 tokens, the prompts of .* are all the same; raise it"):
        check_task(config, EvaluationConfig(n_prompts=2))


def test_more_prompts_than_there_are(tmp_path):
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
    ("function", "message"), [("score_as_nan", "text 0 as nan"), ("score_too_few", "1 scores for 4")]
)
def test_a_reward_model_is_tried_before_any_trial(function, message):
    config = TaskConfig(reward_model=f"tests.inner_loop.models.test_task:{function}")
    with pytest.raises(RewardModelError, match=message):
        check_task(config, EvaluationConfig())


@pytest.fixture
def policy_folder(tmp_path, tokenizer):
    """A policy of 64 positions."""
    make_tiny_policy(tokenizer).save_pretrained(tmp_path / "policy")
    tokenizer.save_pretrained(tmp_path / "policy")
    return tmp_path / "policy"


def test_prompt_and_response_must_fit_the_policys_context(tmp_path, policy_folder):
    for split, text in (("train", "the film is"), ("validation", "this film")):
        write_prompts(tmp_path, [line(text)], split)
    settings = {"policy": str(policy_folder), "prompts": str(tmp_path)}
    n_tokens = len(load_task(TaskConfig(**settings), EvaluationConfig(n_prompts=1)).train_prompts[0].ids)
    check_task(TaskConfig(**settings, response_tokens=64 - n_tokens), EvaluationConfig(n_prompts=1))
    too_long = TaskConfig(**settings, response_tokens=65 - n_tokens)
    for check in (check_task, load_task):
        with pytest.raises(TaskError, match=f"has a context of 64 tokens, and the longest prompt takes {n_tokens}"):
            check(too_long, EvaluationConfig(n_prompts=1))


def test_a_tokenizer_needs_an_end_but_no_padding(policy_folder):
    file = policy_folder / "tokenizer_config.json"
    settings = json.loads(file.read_text())
    file.write_text(json.dumps(settings | {"pad_token": None}))
    assert load_task(TaskConfig(policy=str(policy_folder)), EvaluationConfig()).tokenizer.pad_token_id is None
    file.write_text(json.dumps(settings | {"eos_token": None}))
    with pytest.raises(TaskError, match="has no end-of-sequence token, which ends responses"):
        check_task(TaskConfig(policy=str(policy_folder)), EvaluationConfig())


def test_hub_names_pass_through():
    assert model_source("some-org/some-model", "policy", "v1") == ModelSource("some-org/some-model", "v1")


@pytest.mark.parametrize(
    ("config", "words"),
    [
        (MambaConfig(vocab_size=64, hidden_size=16, num_hidden_layers=2), "has recurrent layers (mamba)"),
        (T5Config(vocab_size=64, d_model=16), "is an encoder-decoder (t5); give a causal language model"),
        (ViTConfig(hidden_size=16), "is no causal language model (vit)"),
    ],
)
def test_a_policy_that_cannot_be_trained_is_refused_before_the_first_trial(config, words, tmp_path):
    AutoTokenizer.from_pretrained(model_source("embedded", "policy").weights).save_pretrained(tmp_path)
    config.save_pretrained(tmp_path)
    with pytest.raises(TaskError, match=re.escape(words)):
        check_task(TaskConfig(policy=str(tmp_path)), EvaluationConfig(n_prompts=4))


@pytest.mark.parametrize("field", ["policy", "reward_model"])
def test_a_model_that_brings_code_is_refused_without_asking(tmp_path, policy_folder, monkeypatch, field):
    monkeypatch.setattr("builtins.input", lambda *_: pytest.fail("the person at the terminal was asked"))
    auto_map = {"AutoConfig": "own.Own", "AutoModelForCausalLM": "own.Own"}
    (policy_folder / "config.json").write_text(json.dumps({"model_type": "own", "auto_map": auto_map}))
    (policy_folder / "own.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')")
    message = rf"{field} '.*it brings code of its own, which is never run here; give a model whose architecture"
    with pytest.raises(TaskError, match=message):
        check_task(TaskConfig(**{field: str(policy_folder)}), EvaluationConfig(n_prompts=1))
    assert not (tmp_path / "ran").exists()
