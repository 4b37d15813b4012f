"""SkyRL's contract (0.3.0), with plain data: lists in, lists out, tensors padded on the left."""

import pytest
import torch

from inner_loop import ShapingFunction
from inner_loop.integrations.core import token_advantages
from inner_loop.integrations.skyrl import KEEPING, SUMMING, check_estimator, dense_grpo, pay_tokens
from tests.inner_loop.tiny_classifiers import byte_tokenizer

TOKENIZER = byte_tokenizer()
LIKES_GOOD = ShapingFunction({"shap": 1.0}, reward_model=lambda texts: [float(text.count("good")) for text in texts])


def output_of(responses, **more):
    ids = [[*TOKENIZER(text)["input_ids"], TOKENIZER.eos_token_id] for text in responses]
    return {
        "prompt_token_ids": [TOKENIZER("a film")["input_ids"]] * len(ids),
        "response_ids": ids,
        "rewards": [0.25] * len(ids),
        "loss_masks": [[1] * len(row) for row in ids],
        "stop_reasons": ["stop"] * len(ids),
        **more,
    }


def pay(output, **options):
    options = {"shaping": LIKES_GOOD, "tokenizer": TOKENIZER, "estimator": "dense_grpo"} | options
    return pay_tokens(output, ["a film"] * len(output["rewards"]), **options)


def test_every_token_of_a_response_has_a_number_and_they_sum_to_the_score():
    output = output_of([" is good", " is bad and long"])
    paid = pay(output)
    assert [len(rewards) for rewards in paid["rewards"]] == [len(ids) for ids in output["response_ids"]]
    assert [sum(rewards) for rewards in paid["rewards"]] == pytest.approx([1.0, 0.0])
    good = TOKENIZER.tokenize(" is good").index("Ġgood")
    assert paid["rewards"][0][good] == pytest.approx(1.0)
    assert all(type(reward) is float for rewards in paid["rewards"] for reward in rewards)
    assert paid["stop_reasons"] == ["stop"] * 2
    assert output["rewards"] == [0.25] * 2


def test_scores_of_an_environment_are_kept_whether_numbers_or_lists():
    paid = pay(output_of([" is good", " bad"], rewards=[3.0, [1.0, 0.5]]), keep_scores=True)
    assert [sum(rewards) for rewards in paid["rewards"]] == pytest.approx([3.0, 1.5])
    # What the environment gave beyond the reward model's score is on the last token.
    assert paid["rewards"][0][-1] == pytest.approx(2.0)


def test_what_the_policy_did_not_write_is_paid_to_its_last_token_before():
    output = output_of([" is good"])
    good = TOKENIZER.tokenize(" is good").index("Ġgood")
    output["loss_masks"][0][good] = 0
    [rewards] = pay(output)["rewards"]
    assert rewards[good] == 0.0
    assert rewards[good - 1] == pytest.approx(1.0)


def test_estimators_that_sum_and_steps_apart_are_refused():
    for name in SUMMING:
        with pytest.raises(ValueError, match=f"{name} adds the rewards .* choose one of gae"):
            check_estimator(name)
    for name in (*KEEPING, "one_of_my_own"):
        check_estimator(name)
    with pytest.raises(ValueError, match="advantage_estimator: grpo adds"):
        pay(output_of([" is good"]), estimator="grpo")
    with pytest.raises(ValueError, match="step_wise_trajectories: SkyRL spreads one advantage"):
        pay(output_of([" is good"], is_last_step=[True]))


def test_responses_padded_on_the_left_are_compared_from_their_first_token():
    mask = torch.tensor([[1, 1, 1], [1, 0, 0], [1, 1, 0], [1, 1, 1]])
    rewards = torch.tensor([[1.0, 2, 4], [6.0, 0, 0], [0.0, 3, 0], [1.0, 0, 0]])
    groups = ["b", "b", ("a", 1), ("a", 1)]
    shifts = [0, 2, 1, 0]

    def padded_left(x):
        return torch.stack([row.roll(shift) for row, shift in zip(x, shifts, strict=True)])

    expected = token_advantages(rewards, mask.bool(), torch.tensor([0, 0, 1, 1]), kind="dr_grpo")
    to_go = torch.tensor([[7.0, 6, 4], [6.0, 0, 0], [3.0, 3, 0], [1.0, 0, 0]])
    for place in (padded_left, lambda x: x):
        advantages, returns = dense_grpo(
            place(rewards), place(mask).float(), groups, grpo_norm_by_std=False, values=None, config=None
        )
        torch.testing.assert_close(advantages, place(expected))
        torch.testing.assert_close(returns, place(to_go))
