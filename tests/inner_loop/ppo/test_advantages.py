import pytest
import torch

from inner_loop.ppo.advantages import estimate_advantages, is_last_token, masked_mean, whiten

ALL = torch.ones(1, 3, dtype=torch.bool)
VALUES = torch.tensor([[0.5, 0.4, 0.2]])
PADDED = torch.tensor([[True] * 3 + [False] * 3])
GARBAGE = torch.tensor([[7.0, -9.0, float("nan")]])


def test_sparse_gae_by_hand():
    # deltas [-.1, -.2, .8], carried back with .95: .8, -.2 + .95 * .8 = .56, -.1 + .95 * .56 = .432.
    advantages, returns = estimate_advantages(VALUES, torch.tensor([[0.0, 0.0, 1.0]]), ALL, gae_lambda=0.95)
    torch.testing.assert_close(advantages, torch.tensor([[0.432, 0.56, 0.8]]))
    torch.testing.assert_close(returns, torch.tensor([[0.932, 0.96, 1.0]]))


def test_dense_gae_by_hand():
    advantages, _ = estimate_advantages(VALUES, torch.tensor([[0.2, 0.3, 0.5]]), ALL, gae_lambda=0.95)
    torch.testing.assert_close(advantages, torch.tensor([[0.46575, 0.385, 0.3]]))


def test_padding_counts_for_nothing():
    values, rewards = torch.cat([VALUES, GARBAGE], 1), torch.cat([torch.tensor([[0.0, 0.0, 1.0]]), GARBAGE], 1)
    advantages, returns = estimate_advantages(values, rewards, PADDED, gae_lambda=0.95)
    torch.testing.assert_close(advantages, torch.tensor([[0.432, 0.56, 0.8, 0.0, 0.0, 0.0]]))
    torch.testing.assert_close(returns, torch.tensor([[0.932, 0.96, 1.0, 0.0, 0.0, 0.0]]))


def test_the_value_at_the_cut_by_hand():
    # gamma .5: deltas [0 + .5 * .4 - .5, .5 * .2 - .4, .5 * .6 - .2] = [-.3, -.3, .1], carried back with .5 * .8.
    values = torch.cat([VALUES, GARBAGE], 1)
    advantages, returns = estimate_advantages(
        values, torch.zeros(1, 6), PADDED, gamma=0.5, gae_lambda=0.8, bootstrap_values=torch.tensor([0.6])
    )
    torch.testing.assert_close(advantages, torch.tensor([[-0.404, -0.26, 0.1, 0.0, 0.0, 0.0]]))
    torch.testing.assert_close(returns, torch.tensor([[0.096, 0.14, 0.3, 0.0, 0.0, 0.0]]))


def test_a_value_of_zero_at_the_cut_is_no_value():
    rewards = torch.tensor([[0.2, 0.3, 0.5]])
    torch.testing.assert_close(
        estimate_advantages(VALUES, rewards, ALL, bootstrap_values=torch.zeros(1)),
        estimate_advantages(VALUES, rewards, ALL),
        rtol=0,
        atol=0,
    )


def test_discount_by_hand():
    # gamma = .5, lambda = 1: returns are discounted sums, 1 + .5 * 2 + .25 * 4 = 3.
    rewards = torch.tensor([[1.0, 2.0, 4.0]])
    _, returns = estimate_advantages(VALUES, rewards, ALL, gamma=0.5, gae_lambda=1.0)
    torch.testing.assert_close(returns, torch.tensor([[3.0, 4.0, 4.0]]))


def random_case():
    generator = torch.Generator().manual_seed(0)
    rewards, values = torch.randn(2, 5, 8, generator=generator, dtype=torch.float64)
    return rewards, values, torch.ones(5, 8, dtype=torch.bool)


def test_with_lambda_one_density_only_moves_what_is_past():
    # Same sum of rewards: the first advantage is equal, later ones differ by exactly the rewards already received.
    dense, values, mask = random_case()
    sparse = torch.zeros_like(dense)
    sparse[:, -1] = dense.sum(dim=1)
    of_dense, _ = estimate_advantages(values, dense, mask, gae_lambda=1.0)
    of_sparse, _ = estimate_advantages(values, sparse, mask, gae_lambda=1.0)
    past = dense.cumsum(dim=1) - dense
    torch.testing.assert_close(of_dense + past, of_sparse, atol=1e-12, rtol=0)


@pytest.mark.parametrize("gae_lambda", [0.0, 0.7, 1.0])
def test_potential_based_rewards_and_values_change_no_advantage(gae_lambda):
    # Ng et al. 1999: r + gamma Phi(s') - Phi(s), with a critic that knows it, V - Phi; Phi is 0 after the end.
    rewards, values, mask = random_case()
    potential = torch.cat([random_case()[1].flip(0), torch.zeros(5, 1, dtype=torch.float64)], dim=1)
    shaped = rewards + 0.9 * potential[:, 1:] - potential[:, :-1]
    plain, _ = estimate_advantages(values, rewards, mask, gamma=0.9, gae_lambda=gae_lambda)
    of_shaped, _ = estimate_advantages(values - potential[:, :-1], shaped, mask, gamma=0.9, gae_lambda=gae_lambda)
    torch.testing.assert_close(of_shaped, plain, atol=1e-12, rtol=0)


def test_shapes_must_agree():
    with pytest.raises(ValueError, match="must have one shape, got"):
        estimate_advantages(VALUES, torch.zeros(1, 2), ALL)


def test_the_last_token_is_the_one_before_padding_or_the_edge():
    mask = torch.tensor([[True, True, False], [True, True, True], [True, False, False]])
    assert is_last_token(mask).nonzero().tolist() == [[0, 1], [1, 2], [2, 0]]


def test_whiten_uses_the_mask_and_the_population_variance():
    x, mask = torch.tensor([[1.0, 2.0, 3.0, 99.0]]), torch.tensor([[True, True, True, False]])
    torch.testing.assert_close(whiten(x, mask), torch.tensor([[-1.224745, 0.0, 1.224745, 0.0]]))
    torch.testing.assert_close(whiten(x, mask, shift=False), torch.tensor([[0.775255, 2.0, 3.224745, 0.0]]))


def test_whitening_equal_advantages_gives_zero():
    assert whiten(torch.full((2, 2), 3.0), torch.ones(2, 2, dtype=torch.bool)).abs().max() == 0


def test_masked_mean_of_nothing_is_zero():
    assert masked_mean(torch.ones(1, 2), torch.zeros(1, 2, dtype=torch.bool)) == 0


def test_the_critic_may_learn_from_returns_of_another_lambda():
    torch.manual_seed(0)
    values, rewards = torch.randn(2, 4, 5)
    mask = torch.arange(5) < torch.tensor([[5], [3], [1], [4]])
    advantages, returns = estimate_advantages(values, rewards, mask, gae_lambda=0.6, critic_lambda=1.0)
    torch.testing.assert_close(advantages, estimate_advantages(values, rewards, mask, gae_lambda=0.6)[0])
    # With lambda 1 they are what is still to come, whatever the critic thinks.
    to_come = rewards.masked_fill(~mask, 0.0).flip(1).cumsum(1).flip(1)
    torch.testing.assert_close(returns[mask], to_come[mask])
    same = estimate_advantages(values, rewards, mask, gae_lambda=0.6, critic_lambda=0.6)
    torch.testing.assert_close(same[1], estimate_advantages(values, rewards, mask, gae_lambda=0.6)[1])
