import itertools
import json

import pytest
from transformers import ByT5Tokenizer

from inner_loop.errors import AttributionError, TaskError
from inner_loop.models import task_check
from inner_loop.models.model_source import model_source
from inner_loop.models.task_check import check_task
from inner_loop.models.transformers_reward_model import TransformersRewardModel
from inner_loop.spec import EvaluationConfig, ScoringConfig, TaskConfig
from tests.inner_loop.conftest import make_tiny_policy
from tests.inner_loop.tiny_classifiers import tiny_bert, word_tokenizer

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


def test_gold_reward_models_are_tried_too():
    gold = {"broken": f"{__name__}:score_with_a_mistake"}
    with pytest.raises(TaskError, match=r"evaluation\.gold\.broken raised KeyError when it was tried: 'weight'"):
        check_task(TaskConfig(), EvaluationConfig(gold=gold))


def test_what_becomes_of_prompts_is_counted(tmp_path):
    many = [*texts(40), *texts(3), *(f"one of the best films of the year {number}" for number in range(40))]
    dropped, repeated = remarks(tmp_path, many, max_prompt_tokens=9, long_prompts="drop")
    assert repeated == f"3 prompts stand in {tmp_path / 'prompts.jsonl'} more than once, and count once."
    assert dropped.endswith("prompts over 9 tokens are left out.")
    assert 20 < int(dropped.split()[0]) <= 40
    [truncated] = remarks(tmp_path, many[43:], max_prompt_tokens=9, long_prompts="truncate")
    assert truncated.endswith("prompts over 9 tokens lose their beginning.")


def score_with_a_mistake(texts):
    return [{}["weight"] for _ in texts]


def test_what_a_reward_function_raises_is_said_with_its_place(tmp_path):
    message = r"score_with_a_mistake' raised KeyError when it was tried: 'weight' \(.*test_task_check.py, line \d+\)"
    with pytest.raises(TaskError, match=message):
        remarks(tmp_path, texts(), reward_model=f"{__name__}:score_with_a_mistake")


def save_classifier(folder, **options):
    tokenizer = word_tokenizer(**options)
    tiny_bert(tokenizer).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return str(folder)


def test_a_reward_template_that_knows_no_system_message_is_found_before_the_first_trial(tmp_path, instruct):
    refusing = "{% if messages[0]['role'] == 'system' %}{{ raise_exception('no system role') }}{% endif %}" + TEMPLATE
    judge = save_classifier(tmp_path / "judge", chat_template=refusing)
    chats = [[{"role": "user", "content": f"film {number}"}] for number in range(30)]
    settings = {"policy": instruct, "reward_model": judge, "max_prompt_tokens": 60}
    assert remarks(tmp_path, chats, **settings) == []
    # One of thirty, wherever it is put.
    chats[7] = [{"role": "system", "content": "Be brief."}, *chats[7]]
    message = r"task.reward_model: its chat template cannot .* roles system, user, assistant: no system role\."
    with pytest.raises(TaskError, match=message):
        remarks(tmp_path, chats, **settings)


def test_a_reward_template_that_changes_responses_is_found_before_the_first_trial(tmp_path):
    strict = TEMPLATE.replace("m['content']", "m['content'] | replace('\\n', ' ')")
    judge = save_classifier(tmp_path / "judge", chat_template=strict)
    with pytest.raises(AttributionError, match="changes what stands in a response"):
        remarks(tmp_path, texts(), reward_model=judge, chat_template=True)


def test_prompts_that_leave_no_room_for_windows_are_found_before_the_first_trial(tmp_path):
    judge = save_classifier(tmp_path / "judge", model_max_length=16)
    settings = {"reward_model": judge, "long_responses": "windows", "max_prompt_tokens": 40}
    assert remarks(tmp_path, texts(), **settings) == []
    with pytest.raises(TaskError, match="a prompt leaves no room for its response"):
        remarks(tmp_path, [*texts(), "the film " * 12], **settings)


def test_a_tokenizer_without_offsets_is_refused_what_needs_them():
    for settings in ({"chat_template": True}, {"long_responses": "head"}):
        [name] = settings
        with pytest.raises(TaskError, match=f"task.{name}: the reward model's tokenizer does not say where"):
            TransformersRewardModel(tiny_bert(word_tokenizer()), ByT5Tokenizer(), ScoringConfig(**settings))


def test_more_prompts_than_a_trial_needs_are_named(tmp_path, monkeypatch):
    monkeypatch.setattr(task_check, "MANY_PROMPTS", 10)
    assert remarks(tmp_path, texts()) == [
        "Every trial first reads all 12 training prompts; with task.prompts_size: 10 it reads fewer."
    ]
    assert remarks(tmp_path, texts(), prompts_size=10) == []


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
