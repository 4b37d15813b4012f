"""AdamW on float32 masters whose gradients come from, and whose values go to, a working copy of another precision.

.. [Loshchilov2019] Decoupled Weight Decay Regularization. arXiv:1711.05101.
"""

from collections.abc import Mapping

import torch
from torch import Tensor
from torch.optim.adamw import adamw

from inner_loop.ppo.precision import TrainedWeight
from inner_loop.processes import n_processes, total

ADAM_EPS = 1e-8
"""PyTorch's and trl's. The 1e-5 of many PPO implementations is made for small networks: a language model's gradient is
spread over many weights (1e-4 for each in the embedded policy, 1e-5 in its embeddings), so that it would take 16 % off
the average step there, and 42 % off those of the embeddings."""

BETAS = (0.9, 0.999)
"""Decay of the two moments: the defaults of [Loshchilov2019]_ and PyTorch."""


class MasterAdamW:
    """AdamW without weight decay, one weight at a time: cast its gradient, update the master, publish it.

    One at a time, no more than one float32 gradient exists at once. Gradients of several processes are added up before
    they are clipped.

    Args:
        weights: By name.
        learning_rate: May be changed between steps, through the attribute.
    """

    def __init__(self, weights: Mapping[str, TrainedWeight], learning_rate: float) -> None:
        self.learning_rate = learning_rate
        self._weights = weights
        self._mean = {name: torch.zeros_like(weight.master) for name, weight in weights.items()}
        self._square = {name: torch.zeros_like(weight.master) for name, weight in weights.items()}
        self._steps = {name: torch.zeros((), device=weight.master.device) for name, weight in weights.items()}
        self._grad_scale: Tensor | None = None

    def zero_grad(self) -> None:
        """Forget the gradients."""
        for weight in self._weights.values():
            weight.grad = None
        self._grad_scale = None

    def clip(self, max_norm: float) -> Tensor:
        """Limit the global norm of the coming step to `max_norm`; the norm before that, over all processes."""
        add_up_over_processes(self._weights)
        # In each gradient's own precision (sums are in float32 all the same): casting all of them would cost as much as
        # the step itself.
        grads = [weight.grad for weight in self._weights.values() if weight.grad is not None]
        norm = torch.linalg.vector_norm(torch.stack([torch.linalg.vector_norm(grad).float() for grad in grads]))
        # The fused kernel divides gradients by this number while it reads them: no pass of its own.
        self._grad_scale = (norm / max_norm).clamp(min=1.0)
        return norm

    @torch.no_grad()
    def step(self) -> None:
        """Update every master that has a gradient, then its working copy; the gradients are used up."""
        for name, weight in self._weights.items():
            if weight.grad is None:
                continue
            adamw(
                [weight.master],
                [weight.grad.float()],
                [self._mean[name]],
                [self._square[name]],
                [],
                [self._steps[name]],
                fused=True,
                amsgrad=False,
                beta1=BETAS[0],
                beta2=BETAS[1],
                lr=self.learning_rate,
                weight_decay=0.0,
                eps=ADAM_EPS,
                maximize=False,
                grad_scale=self._grad_scale,
            )
            weight.grad = None
            weight.publish()
        self._grad_scale = None

    def state(self) -> dict[str, Tensor]:
        """Moments and step counts, for a checkpoint: the tensors themselves, so that copying into them restores it."""
        parts = {"mean": self._mean, "square": self._square, "steps": self._steps}
        return {f"{part}.{name}": tensor for part, tensors in parts.items() for name, tensor in tensors.items()}


def add_up_over_processes(weights: Mapping[str, TrainedWeight]) -> None:
    """Replace every gradient by its sum over the processes; one that has none, for want of data, counts as zero.

    Losses are divided by the tokens of all processes, so that this is the gradient of the joint minibatch.
    """
    if n_processes() == 1:
        return
    has_grad = total(torch.tensor([float(weight.grad is not None) for weight in weights.values()]))
    for weight, count in zip(weights.values(), has_grad.tolist(), strict=True):
        if count:
            weight.grad = total(torch.zeros_like(weight.master) if weight.grad is None else weight.grad.float())
