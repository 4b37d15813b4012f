import itertools
import json

import pytest

from inner_loop.models.model_source import model_source
from inner_loop.models.task_check import check_task
from inner_loop.spec import EvaluationConfig, TaskConfig
from tests.inner_loop.conftest import make_tiny_policy

COUNT = itertools.count()
TEMPLATE = "{% for m in messages %}<{{ m['role'] }}> {{ m['content'] }}{% endfor %}"


def score_with_noise(texts):
    return [float(next(COUNT)) for _ in texts]


def score(texts):
    return [float(len(text)) for text in texts]


def remarks(tmp_path, texts, **settings):
    file = tmp_path / "prompts.jsonl"
    file.write_text("\n".join(json.dumps({"prompt": text}) for text in texts))
    return check_task(TaskConfig(**({"prompts": str(file)} | settings)), EvaluationConfig(n_prompts=2))


def texts(n=20):
    return [f"the film number {number}" for number in range(n)]


def test_there_is_nothing_to_say_of_an_ordinary_task(tmp_path):
    assert check_task(TaskConfig(), EvaluationConfig()) == []
    assert remarks(tmp_path, texts(), reward_model=f"{__name__}:score") == []


def test_a_noisy_reward_function_is_named(tmp_path):
    [remark] = remarks(tmp_path, texts(), reward_model=f"{__name__}:score_with_noise")
    assert "scored the same text differently, by up to" in remark
    assert "credit of noise is noise" in remark


def test_what_becomes_of_prompts_is_counted(tmp_path):
    many = [*texts(40), *texts(3), *(f"one of the best films of the year {number}" for number in range(40))]
    dropped, repeated = remarks(tmp_path, many, max_prompt_tokens=9, long_prompts="drop")
    assert repeated == f"3 prompts stand in {tmp_path / 'prompts.jsonl'} more than once, and count once."
    assert dropped.endswith("prompts over 9 tokens are left out.")
    assert 20 < int(dropped.split()[0]) <= 40
    [truncated] = remarks(tmp_path, many[43:], max_prompt_tokens=9, long_prompts="truncate")
    assert truncated.endswith("prompts over 9 tokens lose their beginning.")


@pytest.fixture
def instruct(tmp_path):
    tokenizer = model_source("embedded", "policy").tokenizer()
    tokenizer.chat_template = TEMPLATE
    make_tiny_policy(tokenizer).save_pretrained(tmp_path / "instruct")
    tokenizer.save_pretrained(tmp_path / "instruct")
    return str(tmp_path / "instruct")


def test_an_instruct_policy_without_a_choice_says_what_it_does(tmp_path, instruct):
    [remark] = remarks(tmp_path, texts(), policy=instruct)
    assert remark.startswith("The policy has a chat template, and reads these plain prompts without it")
    for choice in (True, False):
        assert remarks(tmp_path, texts(), policy=instruct, policy_chat_template=choice, max_prompt_tokens=60) == []
