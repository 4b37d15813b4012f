import pytest

from inner_loop.errors import RewardModelError, TaskError
from inner_loop.models.gold import gold_scores, load_gold
from inner_loop.models.task import load_task
from inner_loop.spec import EvaluationConfig, TaskConfig


def length(texts):
    return [float(len(text)) for text in texts]


def nothing(texts):
    return [float("nan")] * len(texts)


def test_each_scores_prompt_and_response():
    gold = load_gold({"length": f"{__name__}:length", "small": "embedded"})
    scores = gold_scores(gold, ["the film "] * 2, ["is dull", "is a wonderful, moving film"])
    assert scores["length"] == [16.0, 36.0]
    assert scores["small"][0] < scores["small"][1]


def test_what_cannot_judge_is_named_before_anything_is_trained():
    with pytest.raises(TaskError, match=r"evaluation\.gold\.mine cannot be used\. .*there is no model folder"):
        load_task(TaskConfig(), EvaluationConfig(n_prompts=2, gold={"mine": "./nowhere"}))


def test_a_score_that_is_no_number_is_named():
    with pytest.raises(RewardModelError, match=r"evaluation\.gold\.nothing: "):
        gold_scores(load_gold({"nothing": f"{__name__}:nothing"}), ["the film "], ["is dull"])
