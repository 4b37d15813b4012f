"""Tinker's contract (0.38.0), with plain data: three arrays of N numbers for N input tokens."""

import numpy as np
import pytest
import torch

from inner_loop import ShapingFunction
from inner_loop.integrations.core import token_advantages
from inner_loop.integrations.tinker import datums
from tests.inner_loop.tiny_classifiers import byte_tokenizer

TOKENIZER = byte_tokenizer()
LIKES_GOOD = ShapingFunction({"shap": 1.0}, reward_model=lambda texts: [float(text.count("good")) for text in texts])
PROMPT = TOKENIZER("a film")["input_ids"]
RESPONSES = [[*TOKENIZER(text)["input_ids"], TOKENIZER.eos_token_id] for text in (" is good", " is so bad")]


def made(**options):
    logprobs = [[-0.5 - index for index in range(len(ids))] for ids in RESPONSES]
    given = {"logprobs": logprobs, "groups": ["p", "p"], "shaping": LIKES_GOOD, "tokenizer": TOKENIZER} | options
    return datums(["a film"] * 2, [PROMPT] * 2, RESPONSES, **given)


def test_arrays_are_shifted_by_one_and_zero_on_the_prompt():
    for one, response in zip(made(), RESPONSES, strict=True):
        arrays, n = one["loss_fn_inputs"], len(PROMPT) + len(response) - 1
        assert one["input_tokens"] == [*PROMPT, *response][:-1]
        assert arrays["target_tokens"].tolist() == [*PROMPT, *response][1:]
        assert {name: (array.shape, str(array.dtype)) for name, array in arrays.items()} == {
            "target_tokens": ((n,), "int64"),
            "logprobs": ((n,), "float32"),
            "advantages": ((n,), "float32"),
        }
        n_prompt = len(PROMPT) - 1
        assert not arrays["advantages"][:n_prompt].any()
        assert not arrays["logprobs"][:n_prompt].any()
        assert arrays["logprobs"][n_prompt:].tolist() == [-0.5 - index for index in range(len(response))]
        assert arrays["target_tokens"][n_prompt] == response[0]


@pytest.mark.parametrize("kind", ["rloo", "grpo"])
def test_advantages_are_those_of_the_credit(kind):
    good = TOKENIZER.tokenize(" is good").index("Ġgood")
    credit = torch.zeros(2, max(map(len, RESPONSES)))
    credit[0, good] = 1.0
    mask = torch.arange(credit.shape[1]) < torch.tensor([[len(ids)] for ids in RESPONSES])
    expected = token_advantages(credit, mask, torch.zeros(2), kind=kind)
    for one, row, response in zip(made(kind=kind), expected, RESPONSES, strict=True):
        advantages = one["loss_fn_inputs"]["advantages"][len(PROMPT) - 1 :]
        np.testing.assert_allclose(advantages, row[: len(response)].numpy(), atol=1e-5)


def test_scores_can_be_given():
    advantages = made(scores=[5.0, 1.0])[0]["loss_fn_inputs"]["advantages"]
    assert advantages[len(PROMPT) - 1] == pytest.approx(4.0)


def test_what_does_not_fit_is_named():
    with pytest.raises(ValueError, match=r"Response 1 has \d+ tokens and 1 log-probabilities"):
        made(logprobs=[[-1.0] * len(RESPONSES[0]), [-1.0]])
    with pytest.raises(ValueError, match="kind 'gae' needs a critic"):
        made(kind="gae")
