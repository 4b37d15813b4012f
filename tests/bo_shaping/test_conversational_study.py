"""A study of chats with an instruct model: looked at, launched, and what it says of what it left out."""

import json
from pathlib import Path

import pytest
import yaml

from inner_loop.models.model_source import model_source
from tests.inner_loop.conftest import make_tiny_policy
from tests.inner_loop.tiny_classifiers import tiny_llama

SMOLLM2 = Path(__file__).parents[2] / "models" / "SmolLM2-135M-Instruct"
TEMPLATE = (
    "{% for m in messages %}<|im_start|>{{ m['role'] }}\n{{ m['content'] }}</s>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
SYSTEM = {"role": "system", "content": "be brief."}


def save_stand_in(folder):
    tokenizer = model_source("embedded", "policy").tokenizer()
    tokenizer.chat_template = TEMPLATE
    make_tiny_policy(tokenizer).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture(params=["SmolLM2", "stand-in"])
def policy(request, tmp_path):
    if request.param == "stand-in":
        return save_stand_in(tmp_path / "instruct")
    if not SMOLLM2.is_dir():
        pytest.skip("models/SmolLM2-135M-Instruct is not here: python -m experiments.fetch_models makes it")
    return SMOLLM2


@pytest.fixture
def config(tmp_path, policy):
    """Chats, and a reward model that reads fewer tokens than they have."""
    rows = [
        {"messages": [SYSTEM, {"role": "user", "content": f"Why {number}?"}, {"role": "assistant", "content": "So."}]}
        for number in range(20)
    ]
    (tmp_path / "chats.jsonl").write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    tokenizer = model_source("embedded", "reward_model").tokenizer()
    tiny_llama(tokenizer, max_position_embeddings=16).save_pretrained(tmp_path / "reward")
    tokenizer.save_pretrained(tmp_path / "reward")
    settings = {
        "task": {
            "policy": str(policy),
            "prompts": str(tmp_path / "chats.jsonl"),
            "reward_model": str(tmp_path / "reward"),
            "max_prompt_tokens": 60,
            "response_tokens": 3 if policy == SMOLLM2 else 18,
            "long_responses": "head",
        },
        "ppo": {"steps": 1, "rollout_size": 2, "minibatch_size": 2, "precision": "float32"},
        "attribution": {"units": "words", "budget": 12},
        "evaluation": {"n_prompts": 4},
        "search_space": {"components": ["shap", "sparse"]},
        "budget": {"trials": 2, "parallel": 1},
        "executor": "inline",
        "n_samples": 2,
    }
    if policy == SMOLLM2:
        settings["ppo"]["trainable_layers"] = 1
    file = tmp_path / "chat.yaml"
    file.write_text(yaml.safe_dump(settings))
    return file


@pytest.mark.timeout(600)
def test_a_study_of_chats_is_looked_at_and_launched(bo_shaping, config, policy):
    code, out, _ = bo_shaping("doctor", config)
    assert code == 0, out
    system = ["<|im_start|>system", f"be brief.{'<|im_end|>' if policy == SMOLLM2 else '</s>'}"]
    lines = out.splitlines()
    first = next(number for number, line in enumerate(lines) if line.startswith("prompt 1, "))
    assert lines[first + 1 : first + 3] == system
    assert lines[first + 5].startswith("<|im_start|>assistant")
    assert out.count("as the policy reads it:") == 3
    assert "ok       start KL: 0 nats" in lines
    assert "ok       prompts: 12 to train on, 4 to judge on" in out
    assert lines[-1] == f"ready: bo-shaping launch {config}"
    if policy != SMOLLM2:
        assert "it had no room for" in out

    code, out, err = bo_shaping("launch", config)
    assert code == 0, err
    if policy != SMOLLM2:
        assert "Note: The reward model had no room for all of" in out
        assert "task.long_responses is head; windows reads everything" in out


def test_the_look_is_there_for_programs(bo_shaping, tmp_path):
    file = tmp_path / "own.yaml"
    file.write_text("evaluation: {n_prompts: 4}\nattribution: {budget: 12, units: words}\n")
    code, out, _ = bo_shaping("doctor", file, "--set", "task.response_tokens=4", "--json")
    look = json.loads(out)
    assert (code, look["is_ready"]) == (0, True)
    assert len(look["responses"]) == 3
    assert look["responses"][0]["policy_prompt"].startswith("<s>")
    assert {len(shown["tokens"]) for shown in look["responses"]} <= {1, 2, 3, 4}


@pytest.mark.parametrize(
    ("setting", "first_problem"),
    [
        ("task.prompts=./none", "task.prompts: there is no file or folder at './none'"),
        ("task.max_prompt_tokens=3", "has 7 tokens, over max_prompt_tokens = 3"),
        ("task.label=nice", "task.label: the reward model has no label 'nice', did you mean"),
        (f"task.reward_model={__name__}:like_everything", "give a reward model that tells these responses apart"),
    ],
)
def test_the_look_ends_with_the_first_thing_to_mend(bo_shaping, tmp_path, setting, first_problem):
    file = tmp_path / "own.yaml"
    file.write_text("evaluation: {n_prompts: 4}\nattribution: {budget: 12, units: words}\ntask: {response_tokens: 4}\n")
    code, out, _ = bo_shaping("doctor", file, "--set", setting)
    assert code == 1
    last = out.splitlines()[-1]
    assert last.startswith("mend first: ")
    assert first_problem in last


def like_everything(texts):
    return [1.0] * len(texts)


def test_settings_are_of_a_configuration(bo_shaping):
    code, _, err = bo_shaping("doctor", "--set", "ppo.steps=3")
    assert (code, "give the path of one, CONFIG.yaml" in err) == (2, True)
