import pytest
import torch

from inner_loop.ppo.reward_scale import RunningScale


def test_the_scale_is_the_deviation_of_all_sequence_sums_so_far():
    generator = torch.Generator().manual_seed(0)
    batches = [100.0 + 3.0 * torch.randn(n, 4, generator=generator) for n in (5, 1, 8)]
    scale, seen = RunningScale(), []
    for rewards in batches:
        scaled = scale(rewards)
        seen += rewards.double().sum(dim=1).tolist()
        std = torch.tensor(seen, dtype=torch.float64).std(correction=0).item()
        assert scale.std == pytest.approx(std, rel=1e-9)
        torch.testing.assert_close(scaled, rewards / std)


def test_equal_sums_are_left_alone():
    rewards = torch.tensor([[1.0, 2.0], [3.0, 0.0]])
    assert torch.equal(RunningScale()(rewards), rewards)
