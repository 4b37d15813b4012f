import pytest
import torch

from inner_loop.ppo.advantages import estimate_advantages
from inner_loop.ppo.centring import PRIOR_COUNT, TokenWorth, centred_worth
from inner_loop.ppo.rollout import sample_rollout

CPU = torch.device("cpu")


def test_worths_are_mean_rewards_shrunk_towards_the_overall_mean():
    worth = TokenWorth(4, CPU)
    ids = torch.tensor([[0, 1], [0, 3]])
    mask = torch.tensor([[True, True], [True, False]])
    worth.update(ids, torch.tensor([[3.0, -1.0], [4.0, 99.0]]), mask)
    mean = 6 / 3
    expected = [(7 + PRIOR_COUNT * mean) / (2 + PRIOR_COUNT), (-1 + PRIOR_COUNT * mean) / (1 + PRIOR_COUNT), mean, mean]
    assert worth.worths.tolist() == pytest.approx(expected)


def test_before_the_first_rollout_nothing_has_a_worth():
    assert TokenWorth(3, CPU).worths.tolist() == [0.0] * 3


def test_centred_worths_are_zero_on_average_over_the_next_token():
    probs, worths = torch.tensor([0.2, 0.5, 0.3]), torch.tensor([1.0, -2.0, 4.0])
    ids = torch.arange(3).unsqueeze(1)
    expected = torch.full((3, 1), float(probs @ worths))
    centred = centred_worth(worths, ids, expected, torch.ones(3, 1, dtype=torch.bool))
    assert centred[1].item() == pytest.approx(-2.0 - 0.4)
    assert (probs @ centred).item() == pytest.approx(0.0, abs=1e-6)


def test_tokens_after_the_end_are_not_centred():
    mask = torch.tensor([[True, False]])
    centred = centred_worth(torch.tensor([5.0]), torch.tensor([[0, 0]]), torch.zeros(1, 2), mask)
    assert centred.tolist() == [[5.0, 0.0]]


@pytest.mark.parametrize("gae_lambda", [0.0, 0.7, 1.0])
def test_what_leaves_an_advantage_belongs_to_later_tokens(gae_lambda):
    generator = torch.Generator().manual_seed(0)
    rewards, values, centred = (torch.randn(2, 4, generator=generator, dtype=torch.float64) for _ in range(3))
    mask = torch.tensor([[True] * 4, [True, True, True, False]])
    centred = centred.masked_fill(~mask, 0.0)
    plain, _ = estimate_advantages(values, rewards, mask, gamma=0.9, gae_lambda=gae_lambda)
    without, _ = estimate_advantages(values, rewards - centred, mask, gamma=0.9, gae_lambda=gae_lambda)
    later = torch.zeros_like(centred)
    for token in range(4):
        for after in range(token + 1, 4):
            later[:, token] += (0.9 * gae_lambda) ** (after - token) * centred[:, after]
    torch.testing.assert_close((without + centred)[mask], (plain - later)[mask], atol=1e-12, rtol=0)


@pytest.mark.parametrize("settings", [{}, {"top_k": 3}, {"top_p": 0.4, "temperature": 0.7}])
def test_a_rollout_expects_worths_under_the_distribution_it_drew_from(tiny_task, prompts, settings):
    # Worth 1 for one token: its expectation is its probability, which log-probabilities tell wherever it was drawn.
    settings = {"max_new_tokens": 6, "temperature": 1.0} | settings

    def rollout(worths):
        settings["generator"] = torch.Generator().manual_seed(0)
        return sample_rollout(tiny_task.policy, tiny_task.tokenizer, prompts, worths=worths, **settings)

    drawn = rollout(None)
    assert drawn.expected_worth is None
    token = drawn.batch.response_ids[0, 2]
    worths = torch.zeros(len(tiny_task.tokenizer))
    worths[token] = 1.0
    expected = rollout(worths).expected_worth
    assert expected[0, 2].item() == pytest.approx(drawn.logprobs[0, 2].exp().item(), rel=1e-5)
