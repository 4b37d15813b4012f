"""A running scale of rewards: one factor for all tokens of a rollout, taken from the sequence sums.

Scaling each token by its own statistics would change how much of the return each token gets, and centring tokens would
pay for length; one factor does neither.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from inner_loop.processes import joined

MIN_STD = 1e-6
"""Rewards are divided by at least this much: with equal sequence rewards there is no scale yet."""


@dataclass
class RunningScale:
    """Mean and spread of all sequence rewards so far, merged batch by batch.

    .. [Chan1979] Updating Formulae and a Pairwise Algorithm for Computing Sample Variances. Stanford STAN-CS-79-773.
    """

    count: int = 0
    mean: float = 0.0
    squares: float = 0.0
    """Sum of squared distances from the mean."""

    def __call__(self, rewards: Tensor) -> Tensor:
        """Take in the sums of `b x t` token rewards (zero outside the response), those of all processes; scale them."""
        self.update(torch.tensor(joined(rewards.double().sum(dim=1).tolist()), dtype=torch.float64))
        return rewards / self.std if self.std > MIN_STD else rewards

    def update(self, sums: Tensor) -> None:
        """Take in `b` sequence rewards, eq. (2.1) of [Chan1979]_."""
        count, mean = sums.numel(), sums.mean().item()
        total, shift = self.count + count, mean - self.mean
        self.squares += ((sums - mean) ** 2).sum().item() + shift**2 * self.count * count / total
        self.mean += shift * count / total
        self.count = total

    @property
    def std(self) -> float:
        """Population standard deviation of the sequence rewards so far; 0 before the first."""
        return math.sqrt(self.squares / max(self.count, 1))
