import pytest
import torch

from inner_loop.ppo.losses import policy_loss, value_loss

ONE = torch.ones(1, 1, dtype=torch.bool)


@pytest.mark.parametrize(
    ("ratio", "advantage", "loss", "has_gradient"),
    [(1.5, 1.0, -1.2, False), (1.5, -1.0, 1.5, True), (0.5, 1.0, -0.5, True), (0.5, -1.0, 0.8, False)],
)
def test_clipped_surrogate_by_hand(ratio, advantage, loss, has_gradient):
    logprobs = torch.tensor([[ratio]]).log().requires_grad_()
    value, clip_fraction = policy_loss(logprobs, torch.zeros(1, 1), torch.tensor([[advantage]]), ONE, clip_range=0.2)
    value.backward()
    assert value.item() == pytest.approx(loss)
    assert (logprobs.grad.item() != 0) == has_gradient
    assert clip_fraction.item() == (not has_gradient)


def test_padding_does_not_enter_the_policy_loss():
    mask = torch.tensor([[True, False]])
    loss, _ = policy_loss(
        torch.tensor([[0.0, 50.0]]), torch.zeros(1, 2), torch.tensor([[2.0, 9.0]]), mask, clip_range=0.2
    )
    assert loss.item() == -2.0


def test_value_clipping_by_hand():
    # The value moved .5, of which .2 counts: .5 * max((.5 - 1)^2, (.2 - 1)^2) = .32.
    loss = value_loss(torch.tensor([[0.5]]), torch.zeros(1, 1), torch.ones(1, 1), ONE, clip_range=0.2)
    assert loss.item() == pytest.approx(0.32)


def test_without_clipping_the_value_loss_is_half_the_squared_error():
    loss = value_loss(torch.tensor([[0.5]]), torch.zeros(1, 1), torch.ones(1, 1), ONE, clip_range=None)
    assert loss.item() == pytest.approx(0.125)


def test_padding_does_not_enter_the_value_loss():
    mask, zeros = torch.tensor([[True, False]]), torch.zeros(1, 2)
    loss = value_loss(torch.tensor([[0.5, 99.0]]), zeros, torch.tensor([[1.0, -99.0]]), mask, clip_range=0.2)
    assert loss.item() == pytest.approx(0.32)
