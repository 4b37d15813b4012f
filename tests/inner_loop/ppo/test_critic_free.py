from itertools import product

import pytest
import torch

from inner_loop.ppo.critic_free import grpo_advantages, rloo_advantages

NAN = float("nan")
SCORES = [1.0, 3.0, 5.0, 7.0]
LENGTHS = [1, 3, 2, 3]
MASK = torch.arange(3) < torch.tensor(LENGTHS)[:, None]
FOUR = torch.zeros(4)
PAIRS = torch.tensor([7, 7, 3, 3])


def sparse(scores):
    """Scores on the last tokens, garbage in the padding."""
    rewards = torch.full((len(scores), 3), NAN)
    for row, (score, length) in enumerate(zip(scores, LENGTHS, strict=True)):
        rewards[row, :length] = 0.0
        rewards[row, length - 1] = score
    return rewards


def on_every_token(values):
    return torch.where(MASK, torch.tensor(values)[:, None], 0.0)


def test_sparse_rloo_is_the_textbooks():
    # Each score minus the mean of the three others: 1 - 5, 3 - 13/3, 5 - 11/3, 7 - 3; the same on every token.
    advantages = rloo_advantages(sparse(SCORES), MASK, groups=FOUR, decay=1.0)
    torch.testing.assert_close(advantages, on_every_token([-4.0, -4 / 3, 4 / 3, 4.0]))


def test_sparse_grpo_is_the_textbooks():
    # Mean 4; sample variance (9 + 1 + 1 + 9) / 3 = 20 / 3, deviation 2.581989; 3 / 2.582089 and 1 / 2.582089.
    advantages = grpo_advantages(sparse(SCORES), MASK, groups=FOUR, decay=1.0)
    torch.testing.assert_close(advantages, on_every_token([-1.161850, -0.387283, 0.387283, 1.161850]))


def test_groups_do_not_know_each_other():
    both = rloo_advantages(sparse(SCORES), MASK, groups=PAIRS, decay=1.0)
    torch.testing.assert_close(both, on_every_token([-2.0, 2.0, -2.0, 2.0]))


def test_rows_of_a_group_may_stand_anywhere():
    order = [2, 0, 3, 1]
    rewards = sparse(SCORES)
    expected = grpo_advantages(rewards, MASK, groups=PAIRS, decay=1.0)[order]
    torch.testing.assert_close(grpo_advantages(rewards[order], MASK[order], groups=PAIRS[order], decay=1.0), expected)


def test_a_response_without_others_has_nothing_to_be_compared_with():
    groups = torch.tensor([1, 2, 2, 2])
    for estimate in (rloo_advantages, grpo_advantages):
        advantages = estimate(sparse(SCORES), MASK, groups=groups, decay=1.0)
        assert advantages[0].abs().max() == 0
        assert advantages[1].abs().max() > 0


def test_equal_scores_give_no_advantage():
    assert grpo_advantages(sparse([2.0] * 4), MASK, groups=FOUR, decay=1.0).abs().max() == 0


def test_dense_rewards_by_hand():
    # Rewards-to-go with decay .5: [1 + .5 * (2 + .5 * 4), 4, 4] and [6, held at 6]; each minus the other's.
    rewards, mask = torch.tensor([[1.0, 2.0, 4.0], [6.0, NAN, NAN]]), torch.tensor([[True] * 3, [True, False, False]])
    advantages = rloo_advantages(rewards, mask, groups=PAIRS[:2], decay=0.5)
    torch.testing.assert_close(advantages, torch.tensor([[-3.0, -2.0, -2.0], [3.0, 0.0, 0.0]]))
    # Half of that, the distance to the mean of both, over the sample deviation of the sums 7 and 6.
    scale = 0.5**0.5 + 1e-4
    expected = torch.tensor([[-1.5, -1.0, -1.0], [1.5, 0.0, 0.0]]) / scale
    torch.testing.assert_close(grpo_advantages(rewards, mask, groups=PAIRS[:2], decay=0.5), expected)


# A policy small enough to enumerate: token 0 ends the response, 1 and 2 go on, two tokens at most.
RESPONSES = [[0], *([first, second] for first in (1, 2) for second in (0, 1, 2))]
GAIN = {(0,): 0.3, (1, 0): -0.5, (1, 1): 1.0, (1, 2): 0.2, (2, 0): 0.9, (2, 1): -1.0, (2, 2): 0.4}


def causal(response):
    """Prefix differences of an arbitrary function of prefixes: every reward depends on the tokens so far."""
    worth_of_start = {1: 0.7, 2: -0.4}
    if len(response) == 1:
        return [GAIN[tuple(response)]]
    start = worth_of_start[response[0]]
    return [start, GAIN[tuple(response)] - start]


def terminal(response):
    return [0.0] * (len(response) - 1) + [GAIN[tuple(response)]]


def retrospective(response):
    """Credit that looks ahead: all of the gain on the first token."""
    return [GAIN[tuple(response)]] + [0.0] * (len(response) - 1)


def expected_gradient(credit, group_size=2):
    """Of REINFORCE with RLOO advantages, over every group of responses; and the true gradient of the expected gain."""
    logits = torch.randn(3, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64).requires_grad_()

    def logprobs(response):
        table = torch.log_softmax(logits, dim=-1)
        states = [0, *response[:-1]]
        return [table[state, token] for state, token in zip(states, response, strict=True)]

    true = sum(torch.stack(logprobs(r)).sum().exp() * GAIN[tuple(r)] for r in RESPONSES)
    surrogate = torch.zeros((), dtype=torch.float64)
    for group in product(RESPONSES, repeat=group_size):
        mask = torch.tensor([[True, len(response) > 1] for response in group])
        rewards = torch.tensor([[*credit(response), NAN][:2] for response in group], dtype=torch.float64)
        advantages = rloo_advantages(rewards, mask, groups=torch.zeros(group_size), decay=1.0)
        probability = torch.stack([logprob for response in group for logprob in logprobs(response)]).sum().exp()
        first = advantages[0, : len(group[0])]
        surrogate = surrogate + probability.detach() * (first * torch.stack(logprobs(group[0]))).sum()
    return tuple(torch.autograd.grad(value, logits, retain_graph=True)[0] for value in (surrogate, true))


@pytest.mark.parametrize("credit", [terminal, causal])
@pytest.mark.parametrize("group_size", [2, 3])
def test_causal_credit_gives_the_true_gradient_whatever_the_lengths(credit, group_size):
    estimated, true = expected_gradient(credit, group_size)
    torch.testing.assert_close(estimated, true, atol=1e-12, rtol=0)


def test_credit_that_looks_ahead_does_not():
    estimated, true = expected_gradient(retrospective)
    assert (estimated - true).abs().max() > 1e-2
