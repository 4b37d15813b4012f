import numpy as np
import pytest
import torch

from inner_loop.errors import RewardModelError, TaskError
from inner_loop.reward_models import CallableRewardModel, as_reward_model, load_reward_model

TEXTS = ["a wonderful film", "dull", "this is one of the worst movies i have ever seen in my life .", ""]


@pytest.fixture(scope="module")
def embedded():
    return load_reward_model("embedded")


def test_scores_do_not_depend_on_the_batch(embedded):
    alone = [embedded.score([text])[0] for text in TEXTS]
    np.testing.assert_allclose(embedded.score(TEXTS), alone, atol=1e-4)
    np.testing.assert_allclose(embedded.score(TEXTS[::-1]), alone[::-1], atol=1e-4)


def test_scores_are_log_odds_of_the_classifier(embedded):
    encoded = embedded.tokenizer(TEXTS[0], return_tensors="pt")
    with torch.no_grad():
        logits = embedded.model(**encoded).logits[0].tolist()
    expected = logits[0] if len(logits) == 1 else logits[1] - logits[0]
    assert embedded.score(TEXTS[:1])[0] == pytest.approx(expected, abs=1e-5)


def test_praise_scores_above_blame(embedded):
    praise, blame = embedded.score(["a wonderful , moving film .", "a dull , stupid mess ."])
    assert praise > 0 > blame


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_a_score_that_is_no_number_names_the_text(bad):
    model = CallableRewardModel(lambda texts: [1.0, bad])
    with pytest.raises(RewardModelError, match=r"text 1 as .*; the text is 'second'"):
        model.score(["first", "second"])


def test_the_wrong_number_of_scores_is_an_error():
    with pytest.raises(RewardModelError, match="returned 1 scores for 2 texts"):
        CallableRewardModel(lambda texts: [1.0]).score(["first", "second"])


def test_a_function_is_found_by_its_import_path():
    assert as_reward_model("builtins:list").score([3, 4]) == [3.0, 4.0]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("no_such_module_:score", r"cannot be imported \(ModuleNotFoundError"),
        (":score", "cannot be imported"),
        ("math:pi", "is not a function but a float"),
        ("./no/such/folder", "no model folder at"),
    ],
)
def test_a_reward_model_that_is_not_there(name, message):
    with pytest.raises(TaskError, match=message):
        as_reward_model(name)


def test_an_encoder_without_a_head_is_refused_and_not_given_a_random_one(tmp_path, embedded):
    from transformers import BertModel

    BertModel(embedded.model.config).save_pretrained(tmp_path)
    embedded.tokenizer.save_pretrained(tmp_path)
    with pytest.raises(TaskError, match="is not a trained classifier: it has no weights for classifier"):
        load_reward_model(str(tmp_path))
