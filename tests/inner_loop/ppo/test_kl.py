import pytest
import torch

from inner_loop.errors import DivergedError
from inner_loop.ppo.kl import check_kl, kl_estimate


@pytest.mark.parametrize(("kind", "expected"), [("k1", [0.5, -0.5]), ("k2", [0.125] * 2), ("k3", [0.10653, 0.14872])])
def test_estimates_by_hand(kind, expected):
    logprobs, ref_logprobs = torch.tensor([-1.0, -1.5]), torch.tensor([-1.5, -1.0])
    torch.testing.assert_close(kl_estimate(logprobs, ref_logprobs, kind), torch.tensor(expected), atol=1e-5, rtol=0)


def test_two_of_them_have_the_exact_divergence_as_their_mean():
    logits = torch.randn(2, 5, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    logprobs, ref_logprobs = torch.log_softmax(logits, dim=-1)
    exact = torch.nn.functional.kl_div(ref_logprobs, logprobs, log_target=True, reduction="sum")
    means = {kind: (logprobs.exp() * kl_estimate(logprobs, ref_logprobs, kind)).sum() for kind in ("k1", "k2", "k3")}
    torch.testing.assert_close([means["k1"], means["k3"]], [exact, exact])
    assert (means["k2"] - exact).abs() > 1e-2


@pytest.mark.parametrize("kl", [10.5, float("nan"), float("inf")])
def test_a_kl_out_of_bounds_is_a_divergence(kl):
    check_kl(9.5, max_kl=10.0)
    with pytest.raises(DivergedError, match=rf"reached {kl:.4g} nats, over ppo\.max_kl = 10"):
        check_kl(kl, max_kl=10.0)
