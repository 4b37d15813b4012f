import pytest
import torch

from inner_loop.integrations.core import advantage_weights, numbered, token_advantages

NAN = float("nan")
MASK = torch.tensor([[True, True, True], [True, False, False], [True, True, False], [True, True, True]])
GROUPS = torch.tensor([5, 5, 2, 2])
CREDIT = torch.tensor([[1.0, 2.0, 4.0], [6.0, NAN, NAN], [0.0, 3.0, NAN], [1.0, 0.0, 0.0]])


def sparse(outcomes):
    credit = torch.zeros(MASK.shape)
    for row, outcome in enumerate(outcomes):
        credit[row, MASK[row].sum() - 1] = outcome
    return credit


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("rloo", [1.0, -1.0, 2.0, -2.0]),
        ("dr_grpo", [0.5, -0.5, 1.0, -1.0]),
        # Sample deviations of two numbers: their distance over the square root of two.
        ("grpo", [0.5 / (0.5**0.5 + 1e-4), -0.5 / (0.5**0.5 + 1e-4), 1 / (2**0.5 + 1e-4), -1 / (2**0.5 + 1e-4)]),
    ],
)
def test_without_credit_every_token_has_the_textbooks_advantage(kind, expected):
    advantages = token_advantages(sparse([7.0, 6.0, 3.0, 1.0]), MASK, GROUPS, kind=kind)
    torch.testing.assert_close(advantages, torch.tensor(expected)[:, None] * MASK)


@pytest.mark.parametrize("kind", ["rloo", "dr_grpo", "grpo"])
def test_the_first_token_has_the_advantage_of_the_outcome_whatever_the_credit(kind):
    dense = token_advantages(CREDIT, MASK, GROUPS, kind=kind)
    scalar = token_advantages(sparse([7.0, 6.0, 3.0, 1.0]), MASK, GROUPS, kind=kind)
    torch.testing.assert_close(dense[:, 0], scalar[:, 0])
    assert not torch.allclose(dense, scalar)


def test_credit_by_hand():
    # To go: [7, 6, 4], [6 and held], [3, 3 and held], [1, 0, 0]; each minus the mean of both at the same token.
    expected = torch.tensor([[0.5, 0.0, -1.0], [-0.5, 0, 0], [1.0, 1.5, 0.0], [-1.0, -1.5, -1.5]])
    torch.testing.assert_close(token_advantages(CREDIT, MASK, GROUPS, kind="dr_grpo"), expected)


def test_what_an_outcome_holds_beyond_its_credit_counts_at_every_token():
    # One more for the first response, whose credit stays: half of it more than the mean, at each of its tokens.
    outcomes = torch.tensor([8.0, 6.0, 3.0, 1.0])
    more = token_advantages(CREDIT, MASK, GROUPS, kind="dr_grpo", outcomes=outcomes)
    before = token_advantages(CREDIT, MASK, GROUPS, kind="dr_grpo")
    torch.testing.assert_close((more - before)[0], torch.full((3,), 0.5))
    torch.testing.assert_close((more - before)[1], torch.tensor([-0.5, 0.0, 0.0]))


def test_a_response_that_nothing_scored_gets_nothing_and_counts_for_nobody():
    credit, groups = torch.cat([CREDIT, CREDIT[:1]]), torch.tensor([5, 5, 2, 2, 5])
    mask, outcomes = torch.cat([MASK, MASK[:1]]), torch.tensor([7.0, 6.0, 3.0, 1.0, NAN])
    for kind in ("grpo", "rloo", "dr_grpo", "reinforce++"):
        advantages = token_advantages(credit, mask, groups, kind=kind, outcomes=outcomes)
        assert advantages[-1].abs().max() == 0
        torch.testing.assert_close(advantages[:-1], token_advantages(CREDIT, MASK, GROUPS, kind=kind))


def test_a_response_of_which_no_token_is_trained_on_still_counts_for_its_group():
    mask, outcomes = MASK.clone(), torch.tensor([7.0, 6.0, 3.0, 1.0])
    mask[1] = False
    for kind in ("grpo", "rloo", "dr_grpo"):
        advantages = token_advantages(CREDIT, mask, GROUPS, kind=kind, outcomes=outcomes)
        assert advantages[1].abs().max() == 0
        torch.testing.assert_close(
            advantages[0, 0], token_advantages(CREDIT, MASK, GROUPS, kind=kind, outcomes=outcomes)[0, 0]
        )


def test_reinforce_is_reward_to_go_with_mean_zero_and_variance_one():
    advantages = token_advantages(CREDIT, MASK, kind="reinforce++")
    to_go = torch.tensor([7.0, 6, 4, 6, 3, 3, 1, 0, 0])
    expected = (to_go - to_go.mean()) / to_go.std(correction=0)
    torch.testing.assert_close(advantages[MASK], expected)


def test_gae_by_hand():
    # lambda 1: rewards-to-go minus values.
    values = torch.full(MASK.shape, 2.0)
    advantages = token_advantages(CREDIT, MASK, kind="gae", values=values)
    expected = torch.tensor([[5.0, 4.0, 2.0], [4.0, 0, 0], [1.0, 1.0, 0.0], [-1.0, -2.0, -2.0]])
    torch.testing.assert_close(advantages, expected)
    # lambda 0: temporal differences, r + V' - V.
    advantages = token_advantages(CREDIT, MASK, kind="gae", values=values, gae_lambda=0.0)
    torch.testing.assert_close(advantages[0], torch.tensor([1.0, 2.0, 2.0]))


def test_half_precision_credit_is_added_up_in_float32():
    credit = torch.full((2, 4096), 0.01, dtype=torch.bfloat16)
    mask = torch.ones(credit.shape, dtype=torch.bool)
    advantages = token_advantages(credit * torch.tensor([[1.0], [2.0]]), mask, torch.zeros(2), kind="rloo")
    assert advantages.dtype == torch.float32
    assert advantages[1, 0].item() == pytest.approx(4096 * credit[0, 0].item(), rel=1e-3)


def test_weights_have_mean_one_and_follow_the_sign_of_the_advantage():
    # Deviations of the first response's credit from its mean 7/3: -4/3, -1/3, 5/3; the largest is 5/3.
    relative = torch.tensor([-0.8, -0.2, 1.0])
    weights = advantage_weights(CREDIT, MASK, torch.tensor([2.0, 1.0, -3.0, 0.0]))
    torch.testing.assert_close(weights[0], 1 + relative)
    torch.testing.assert_close(weights[1], torch.tensor([1.0, 0.0, 0.0]))  # one token has nothing to share
    torch.testing.assert_close(weights[2], torch.tensor([2.0, 0.0, 0.0]))  # the worst token is blamed
    torch.testing.assert_close(weights[3], torch.ones(3))  # no advantage, no sign
    torch.testing.assert_close(weights.sum(dim=1), MASK.sum(dim=1).float())


def test_equal_credit_weighs_every_token_the_same_in_spite_of_rounding():
    credit = torch.full((1, 5), 0.1) * 3
    credit[0, 2] = 0.1 + 0.2
    weights = advantage_weights(credit, torch.ones(1, 5, dtype=torch.bool), torch.ones(1))
    torch.testing.assert_close(weights, torch.ones(1, 5))


def test_equal_objects_have_equal_numbers_whatever_they_are():
    assert numbered(["b", ("a", 1), "b", None, ("a", 1)]).tolist() == [0, 1, 0, 2, 1]
    assert numbered(torch.tensor([7, 7, 3])).tolist() == [0, 0, 1]


def test_shapes_that_do_not_fit_are_named():
    with pytest.raises(ValueError, match=r"got \(4, 3\) and \(4, 2\)"):
        token_advantages(CREDIT, MASK[:, :2], GROUPS)
    with pytest.raises(ValueError, match="needs groups: one number for each of the 4 responses"):
        token_advantages(CREDIT, MASK)
    with pytest.raises(ValueError, match="needs values of the shape of credit"):
        token_advantages(CREDIT, MASK, kind="gae")
    with pytest.raises(ValueError, match="One number is needed for each of 4 responses"):
        token_advantages(CREDIT, MASK, GROUPS, outcomes=torch.zeros(3))


def test_credit_in_a_group_of_equal_outcomes_stays_of_the_size_of_an_advantage():
    credit = torch.tensor([[2.0, 0.0], [0.0, 2.0]])
    advantages = token_advantages(credit, torch.ones(2, 2, dtype=torch.bool), torch.zeros(2), kind="grpo")
    # W - R is (0, -2) and (0, 0), less its mean (0, -1) and (0, 1): squares of mean 1/2 each, a deviation of one.
    torch.testing.assert_close(advantages, torch.tensor([[0.0, -1.0], [0.0, 1.0]]) / (1 + 1e-4))
