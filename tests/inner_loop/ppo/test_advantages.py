import pytest
import torch

from inner_loop.ppo.advantages import estimate_advantages, masked_mean, whiten

ALL = torch.ones(1, 3, dtype=torch.bool)
VALUES = torch.tensor([[0.5, 0.4, 0.2]])


def test_sparse_gae_by_hand():
    # deltas [-.1, -.2, .8], carried back with .95: .8, -.2 + .95 * .8 = .56, -.1 + .95 * .56 = .432.
    advantages, returns = estimate_advantages(VALUES, torch.tensor([[0.0, 0.0, 1.0]]), ALL, gae_lambda=0.95)
    torch.testing.assert_close(advantages, torch.tensor([[0.432, 0.56, 0.8]]))
    torch.testing.assert_close(returns, torch.tensor([[0.932, 0.96, 1.0]]))


def test_dense_gae_by_hand():
    advantages, _ = estimate_advantages(VALUES, torch.tensor([[0.2, 0.3, 0.5]]), ALL, gae_lambda=0.95)
    torch.testing.assert_close(advantages, torch.tensor([[0.46575, 0.385, 0.3]]))


def test_padding_counts_for_nothing():
    garbage = torch.tensor([[7.0, -9.0, float("nan")]])
    values, rewards = torch.cat([VALUES, garbage], 1), torch.cat([torch.tensor([[0.0, 0.0, 1.0]]), garbage], 1)
    mask = torch.tensor([[True] * 3 + [False] * 3])
    advantages, returns = estimate_advantages(values, rewards, mask, gae_lambda=0.95)
    torch.testing.assert_close(advantages, torch.tensor([[0.432, 0.56, 0.8, 0.0, 0.0, 0.0]]))
    torch.testing.assert_close(returns, torch.tensor([[0.932, 0.96, 1.0, 0.0, 0.0, 0.0]]))


def test_discount_by_hand():
    # gamma = .5, lambda = 1: returns are discounted sums, 1 + .5 * 2 + .25 * 4 = 3.
    rewards = torch.tensor([[1.0, 2.0, 4.0]])
    _, returns = estimate_advantages(VALUES, rewards, ALL, gamma=0.5, gae_lambda=1.0)
    torch.testing.assert_close(returns, torch.tensor([[3.0, 4.0, 4.0]]))


def test_with_lambda_one_density_only_moves_what_is_past():
    # Same sum of rewards: the first advantage is equal, later ones differ by exactly the rewards already received.
    generator = torch.Generator().manual_seed(0)
    dense = torch.randn(5, 8, generator=generator, dtype=torch.float64)
    values = torch.randn(5, 8, generator=generator, dtype=torch.float64)
    sparse = torch.zeros_like(dense)
    sparse[:, -1] = dense.sum(dim=1)
    mask = torch.ones(5, 8, dtype=torch.bool)
    of_dense, _ = estimate_advantages(values, dense, mask, gae_lambda=1.0)
    of_sparse, _ = estimate_advantages(values, sparse, mask, gae_lambda=1.0)
    past = dense.cumsum(dim=1) - dense
    torch.testing.assert_close(of_dense + past, of_sparse, atol=1e-12, rtol=0)


def test_shapes_must_agree():
    with pytest.raises(ValueError, match="Shapes differ"):
        estimate_advantages(VALUES, torch.zeros(1, 2), ALL)


def test_whiten_uses_the_mask_and_the_population_variance():
    x, mask = torch.tensor([[1.0, 2.0, 3.0, 99.0]]), torch.tensor([[True, True, True, False]])
    torch.testing.assert_close(whiten(x, mask), torch.tensor([[-1.224745, 0.0, 1.224745, 0.0]]))


def test_whitening_equal_advantages_gives_zero():
    assert whiten(torch.full((2, 2), 3.0), torch.ones(2, 2, dtype=torch.bool)).abs().max() == 0


def test_masked_mean_of_nothing_is_zero():
    assert masked_mean(torch.ones(1, 2), torch.zeros(1, 2, dtype=torch.bool)) == 0
