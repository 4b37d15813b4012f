"""slime's contract, with plain data: arguments and the data of a rank in, one tensor of advantages per response out."""

from argparse import Namespace

import pytest
import torch
from transformers import AutoTokenizer

from inner_loop import ShapingFunction
from inner_loop.integrations import slime
from inner_loop.models.model_source import model_source
from tests.inner_loop.tiny_classifiers import byte_tokenizer

TOKENIZER = byte_tokenizer()
LIKES_GOOD = ShapingFunction({"shap": 1.0}, reward_model=lambda texts: [float(text.count("good")) for text in texts])


def arguments(**changed):
    given = {"advantage_estimator": "grpo", "rewards_normalization": True, "context_parallel_size": 1}
    return Namespace(**(given | {"shaping": "my-shaping", "hf_checkpoint": "policy"} | changed))


def rank_data(tokenizer, responses, rewards):
    prompt = tokenizer("a film")["input_ids"]
    ids = [tokenizer(text, add_special_tokens=False)["input_ids"] for text in responses]
    return {
        "tokens": [torch.tensor([*prompt, *row]) for row in ids],
        "response_lengths": [len(row) for row in ids],
        "loss_masks": [torch.ones(len(row), dtype=torch.int) for row in ids],
        "rewards": rewards,
    }


def test_a_responses_advantage_is_weighted_token_by_token():
    data = rank_data(TOKENIZER, [" is good", " so good", " bad"], [0.5, -0.5, 2.0])
    slime.set_dense_advantages(data, LIKES_GOOD, TOKENIZER)
    better, worse, flat = data["advantages"]
    assert [len(row) for row in data["advantages"]] == data["response_lengths"]
    good = TOKENIZER.tokenize(" is good").index("Ġgood")
    # The paid token has weight 2 where that is better than the group, and 0 where the response was worse.
    assert better[good].item() == pytest.approx(1.0)
    assert worse[TOKENIZER.tokenize(" so good").index("Ġgood")].item() == pytest.approx(0.0, abs=1e-6)
    assert better.sum().item() == pytest.approx(0.5 * len(better))
    assert worse.sum().item() == pytest.approx(-0.5 * len(worse))
    torch.testing.assert_close(flat, torch.full_like(flat, 2.0))
    assert better.dtype == torch.float32
    torch.testing.assert_close(data["returns"], data["advantages"])


def test_tokens_that_are_not_trained_on_have_no_advantage():
    data = rank_data(TOKENIZER, [" is good"], [1.0])
    data["loss_masks"][0][-1] = 0
    slime.set_dense_advantages(data, LIKES_GOOD, TOKENIZER)
    [row] = data["advantages"]
    assert row[-1] == 0
    assert row.sum().item() == pytest.approx(len(row) - 1)
    assert row.argmax() == len(row) - 2


def test_slime_calls_it_with_arguments_that_name_a_file_and_a_checkpoint(tmp_path):
    policy, file = model_source("embedded", "policy").weights, tmp_path / "my-shaping"
    ShapingFunction({"shap": 1.0}).save(file)
    tokenizer = AutoTokenizer.from_pretrained(policy)
    data, by_hand = (rank_data(tokenizer, [" a good film.", " bad."], [1.0, -1.0]) for _ in range(2))
    slime.dense_advantages(arguments(shaping=str(file), hf_checkpoint=str(policy)), data)
    slime.set_dense_advantages(by_hand, ShapingFunction({"shap": 1.0}), tokenizer)
    torch.testing.assert_close(data["advantages"], by_hand["advantages"])
    assert data["advantages"][0].unique().numel() > 1


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"advantage_estimator": "ppo"}, "--advantage-estimator ppo: rewards are raw scores .* choose one of grpo"),
        ({"rewards_normalization": False}, "--disable-rewards-normalization: rewards are raw scores"),
        ({"context_parallel_size": 2}, "--context-parallel-size: a rank sees parts"),
        ({"shaping": None}, "shaping: name a file of ShapingFunction.save"),
    ],
)
def test_arguments_that_do_not_fit_are_named(changed, message):
    with pytest.raises(ValueError, match=message):
        slime.dense_advantages(arguments(**changed), {})
