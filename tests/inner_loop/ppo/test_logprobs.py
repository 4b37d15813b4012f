import pytest
import torch

from inner_loop.ppo.logprobs import token_logprobs


def logits_and_ids(dtype, n=5, v=11):
    generator = torch.Generator().manual_seed(0)
    return torch.randn(n, v, generator=generator, dtype=dtype), torch.randint(v, (n,), generator=generator)


@pytest.mark.parametrize("temperature", [1.0, 0.7])
def test_value_is_that_of_log_softmax_and_gather(temperature):
    logits, ids = logits_and_ids(torch.float32)
    expected = torch.log_softmax(logits.double() / temperature, dim=-1)[torch.arange(5), ids]
    torch.testing.assert_close(token_logprobs(logits, ids, temperature).double(), expected, atol=1e-6, rtol=0)


@pytest.mark.parametrize("temperature", [1.0, 0.7])
def test_gradient_is_the_derivative(temperature):
    logits, ids = logits_and_ids(torch.float64)
    assert torch.autograd.gradcheck(lambda x: token_logprobs(x, ids, temperature), logits.requires_grad_())


def test_gradient_in_one_pass_is_that_of_a_kept_graph():
    # The buffer is overwritten on the way back only if nobody reads it again.
    logits, ids = logits_and_ids(torch.float32)
    logits.requires_grad_()
    logprobs = token_logprobs(logits, ids).sum()
    kept = [torch.autograd.grad(logprobs, logits, retain_graph=True)[0] for _ in range(2)]
    (last,) = torch.autograd.grad(logprobs, logits)
    assert torch.equal(kept[0], kept[1])
    assert torch.equal(kept[0], last)


def test_bfloat16_logits_are_normalised_in_float32():
    logits, ids = logits_and_ids(torch.bfloat16)
    logprobs = token_logprobs(logits.requires_grad_(), ids)
    expected = torch.log_softmax(logits.detach().float(), dim=-1)[torch.arange(5), ids]
    torch.testing.assert_close(logprobs.detach(), expected, atol=1e-6, rtol=0)
    logprobs.sum().backward()
    assert logits.grad.dtype == torch.bfloat16


def test_tokens_that_cannot_be_drawn_get_no_gradient():
    logits = torch.tensor([[0.0, float("-inf"), 1.0]], requires_grad=True)
    token_logprobs(logits, torch.tensor([2])).sum().backward()
    assert logits.grad[0, 1] == 0
    assert logits.grad.isfinite().all()
