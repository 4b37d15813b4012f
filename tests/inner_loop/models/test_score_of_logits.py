import pytest
import torch
from transformers import BertConfig

from inner_loop.errors import TaskError
from inner_loop.models.score_of_logits import score_of_logits

LOGITS = torch.tensor([[1.0, -0.5, 2.0], [0.0, 3.0, 0.5]])


def config(n_labels=3, problem_type=None):
    names = dict(enumerate(["bad", "fair", "Good"][:n_labels]))
    return BertConfig(
        id2label=names, label2id={name: index for index, name in names.items()}, problem_type=problem_type
    )


@pytest.mark.parametrize("label", ["Good", "good", "2", 2])
def test_one_of_several_labels_is_read_as_its_log_odds(label):
    probs = LOGITS.softmax(dim=-1)[:, 2]
    torch.testing.assert_close(score_of_logits(config(), label)(LOGITS), (probs / (1 - probs)).log())


def test_of_two_labels_the_log_odds_of_the_last_are_the_usual_score():
    usual, named = score_of_logits(config(2), None), score_of_logits(config(2), "fair")
    torch.testing.assert_close(named(LOGITS[:, :2]), usual(LOGITS[:, :2]))
    torch.testing.assert_close(score_of_logits(config(2), "bad")(LOGITS[:, :2]), -usual(LOGITS[:, :2]))


@pytest.mark.parametrize("problem_type", ["regression", "multi_label_classification"])
def test_labels_that_do_not_exclude_each_other_stand_for_themselves(problem_type):
    torch.testing.assert_close(score_of_logits(config(problem_type=problem_type), "fair")(LOGITS), LOGITS[:, 1])


def test_several_labels_can_be_weighed():
    score = score_of_logits(config(), {"good": 0.5, "bad": -1.0})
    torch.testing.assert_close(score(LOGITS), torch.tensor([0.0, 0.25]))


def test_an_unknown_label_is_refused_with_those_there_are():
    with pytest.raises(
        TaskError, match=r"no label 'goood', did you mean 'Good'\? Its labels: 0: bad, 1: fair, 2: Good"
    ):
        score_of_logits(config(), "goood")
    with pytest.raises(TaskError, match="no label '3'"):
        score_of_logits(config(), {"3": 1.0})


def test_without_a_choice_one_of_many_is_not_guessed():
    with pytest.raises(TaskError, match=r"it has 3 labels \(0: bad, 1: fair, 2: Good\); say with task.label"):
        score_of_logits(config(), None)
