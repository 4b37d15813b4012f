import torch

from inner_loop.ppo.kl import kl_k1, kl_k3


def test_estimates_by_hand():
    logprobs, ref_logprobs = torch.tensor([-1.0, -1.5]), torch.tensor([-1.5, -1.0])
    torch.testing.assert_close(kl_k1(logprobs, ref_logprobs), torch.tensor([0.5, -0.5]))
    torch.testing.assert_close(kl_k3(logprobs, ref_logprobs), torch.tensor([0.10653, 0.14872]), atol=1e-5, rtol=0)


def test_both_have_the_exact_divergence_as_their_mean():
    logits = torch.randn(2, 5, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    logprobs, ref_logprobs = torch.log_softmax(logits, dim=-1)
    exact = torch.nn.functional.kl_div(ref_logprobs, logprobs, log_target=True, reduction="sum")
    for estimate in (kl_k1, kl_k3):
        torch.testing.assert_close((logprobs.exp() * estimate(logprobs, ref_logprobs)).sum(), exact)
