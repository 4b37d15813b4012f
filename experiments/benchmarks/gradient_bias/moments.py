"""Exact mean and variance of a policy-gradient estimator, and what they mean for a batch."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from experiments.benchmarks.gradient_bias.toy import Toy

BATCH_SIZES = (32, 256)

ROUNDING = 1e-12
"""An expected estimate shorter than this, relative to the true gradient, is zero."""


@dataclass(frozen=True)
class Moments:
    """How an estimator of the gradient relates to the true one; everything in units of the true gradient's norm."""

    bias: float
    """||E g - grad J||."""
    cosine: float
    """Of E g and grad J; 0 if E g is zero."""
    mean_norm: float
    """||E g||."""
    variance: float
    """Trace of the covariance of one response's estimate."""

    def mse(self, batch_size: int) -> float:
        """E ||mean of a batch - grad J||^2."""
        return self.bias**2 + self.variance / batch_size

    def direction_error(self, batch_size: int) -> float:
        """The least `mse` that multiplying by a constant can reach: 0 is a noiseless right direction, 1 is noise.

        Optimizers that normalise (whitened advantages, Adam, gradient clipping) make the length immaterial.
        """
        if not self.mean_norm:
            return 1.0
        signal = (self.cosine * self.mean_norm) ** 2
        return 1 - signal / (self.mean_norm**2 + self.variance / batch_size)


def mean_gradient(toy: Toy, advantages: np.ndarray) -> np.ndarray:
    """`P` expectation of sum_t A_t grad log pi(y_t | y_<t), for `N x T` advantages."""
    return np.einsum("n,nt,tnp->p", toy.probabilities, advantages, toy.scores, optimize=True)


def moments(toy: Toy, advantages: np.ndarray, true_gradient: np.ndarray) -> Moments:
    """Exact moments of the estimator with `N x T` advantages."""
    mean = mean_gradient(toy, advantages)
    second = np.einsum("n,nt,nu,ntu->", toy.probabilities, advantages, advantages, toy.score_products, optimize=True)
    scale, norm = float(np.linalg.norm(true_gradient)), float(np.linalg.norm(mean))
    if norm < ROUNDING * scale:
        mean, norm = np.zeros_like(mean), 0.0
    return Moments(
        bias=float(np.linalg.norm(mean - true_gradient) / scale),
        cosine=float(mean @ true_gradient / (norm * scale)) if norm else 0.0,
        variance=(float(second) - norm**2) / scale**2,
        mean_norm=norm / scale,
    )
