r"""What PPO makes of credit, how it departs from the true advantage, and how both are estimated without bias.

A response is y = y_1 ... y_T, h = y_<t, V(h) = E[R | h], and the truth is A_t = V(y_<=t) - V(y_<t). PPO's estimate from
credit c, sum c = R, is A^_t = sum_l lambda^l (c_{t+l} + V^c(y_<=t+l) - V^c(y_<t+l)), where V^c is what a critic would
learn, E[C_>=t | y_<t], or zero. It is decomposed, over responses and tokens, as

    E (A^_t - A_t)^2  =  bias^2 + noise,         bias_t = E[A^_t | y_<=t] - E[A^_t | y_<t] - A_t.

The bias is what moves the expected gradient: what depends on y_<t alone is a baseline and moves nothing. Noise is the
rest: the variance over continuations, and with a zero critic the baseline that nobody took off. With
D_t = R - sum_l lambda^l c_{t+l}, what the estimate leaves out, bias_t = -(E[D_t | y_<=t] - E[D_t | y_<t]); credit that
is settled when its token is drawn, at lambda 1, leaves out nothing that token t can still change. With its own exact
critic the bias is that of lambda = 1 at every lambda (`experiments/benchmarks/gradient_bias.md`, 4).

Expectations are means over continuations, so squares of them are too large. Every square here is the product of the
estimates from two independent halves of the continuations, whose expectation is the square of the truth.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch

from inner_loop.ppo.advantages import estimate_advantages

Critic = Literal["own", "zero"]
CRITICS: tuple[Critic, ...] = ("own", "zero")
"""The exact expectation of the credit to come, which a critic would learn; or zero, where it starts."""
LAMBDAS = (1.0, 0.95, 0.7, 0.5)

Halves = tuple[np.ndarray, np.ndarray]
"""Two independent estimates of one thing."""


@dataclass(frozen=True)
class Moments:
    """Sums over the tokens of one response, from which means over responses are made."""

    n_tokens: int
    truth: float
    """Of A^2."""
    bias: float
    """Of bias^2."""
    bias_by_truth: float
    """Of bias A."""
    estimate: float
    """Of A^."""
    squared: float
    """Of A^ ^2."""
    product: float
    """Of A^ A."""


@dataclass(frozen=True)
class Quality:
    """How an advantage estimate relates to the truth; squares are in units of E A^2. Numbers, or arrays."""

    bias: Any
    """E bias^2 / E A^2: of the gradient, whatever the critic."""
    kept: Any
    """What of the truth is left on average, 1 + E[bias A] / E A^2: a shorter right direction is no fault."""
    noise: Any
    """E (A^ - A)^2 / E A^2 less `bias`."""
    error: Any
    """E (A^ - A)^2 / E A^2, A^ less its mean over all tokens, as PPO whitens it."""
    alignment: Any
    """E[A^ A] / root(E A^2 E A^ ^2), A^ less its mean: what part of what the optimizer is given is the truth."""


def quality(moments: Sequence[Moments], weights: np.ndarray | None = None) -> Quality:
    """Of all responses, or of resamples.

    Args:
        moments: `n` responses'.
        weights: `r x n` how often each response counts in r resamples; the fields are then arrays of `r`.
    """
    rows = np.array([[getattr(m, name) for name in Moments.__dataclass_fields__] for m in moments], dtype=float)
    sums = rows.sum(axis=0) if weights is None else (weights @ rows).T
    n, truth, bias, by_truth, estimate, squared, product = sums
    # The truth has mean zero whatever the policy: what the mean of the estimate adds is taken off as PPO does.
    squared = squared - estimate**2 / n
    error = (squared - 2 * product + truth) / truth
    scale = truth * squared
    alignment = product / np.sqrt(np.where(scale > 0, scale, np.nan))
    return Quality(bias / truth, 1 + by_truth / truth, error - bias / truth, error, alignment)


def halves_of(samples: np.ndarray, axis: int = 1) -> Halves:
    """Means of the first and of the second half of the samples."""
    first, second = np.split(samples, 2, axis=axis)
    return first.mean(axis=axis), second.mean(axis=axis)


def left_out(credit: np.ndarray, place: int, decay: float) -> np.ndarray:
    """D at a token, R - sum_l decay^l c_{place+l}, of `... x L` credit."""
    ahead = np.arange(credit.shape[-1]) - place
    return credit @ np.where(ahead < 0, 1.0, 1.0 - decay ** np.maximum(ahead, 0))


def bias_halves(scores: np.ndarray, credit: np.ndarray, critic: Critic, gae_lambda: float) -> Halves:
    """`T` bias, twice.

    What is left out, D, is small at lambda near 1, and what is not, R - D, at small lambda. Where E[R] is known better,
    by A, than by the explained continuations alone, bias = g (E[R | y_<=t] - E[R | y_<t] - A) - (E[D | y_<=t] - E[D |
    y_<t]) has the same expectation for every fixed g and the least noise for one between 0 and 1: the share D is of
    equal credit.

    Args:
        scores: `(T + 1) x M`, see `Sample`.
        credit: `(T + 1) x K x L`.
        critic: What the estimate knows.
        gae_lambda: Its decay.
    """
    decay = gae_lambda if critic == "zero" else 1.0
    n_tokens, longest = len(credit) - 1, credit.shape[-1]
    halves = []
    for values, part in zip(halves_of(scores), np.split(credit, 2, axis=1), strict=True):
        rises = np.empty(n_tokens)
        for place in range(n_tokens):
            share = 1 - float(np.mean(decay ** np.arange(longest - place)))
            worth = share * part.sum(axis=-1) - left_out(part, place, decay)
            rises[place] = worth[place + 1].mean() - worth[place].mean() - share * (values[place + 1] - values[place])
        halves.append(rises)
    return halves[0], halves[1]


def value_halves(scores: np.ndarray, credit: np.ndarray) -> tuple[Halves, Halves]:
    """`T + 1` values V and `T` values V^c = V - E[C_<t | y_<t], each twice.

    Args:
        scores: `(T + 1) x M`.
        credit: `(T + 1) x K x L`.
    """
    values = halves_of(scores)
    n_tokens = len(scores) - 1
    past = halves_of(np.stack([left_out(credit[place], place, 1.0) for place in range(n_tokens)]))
    return values, (values[0][:-1] - past[0], values[1][:-1] - past[1])


def gae(credit: np.ndarray, values: np.ndarray, gae_lambda: float) -> np.ndarray:
    """`N x T` advantages, by the function that the trainer uses."""
    mask = torch.ones(credit.shape, dtype=torch.bool)
    tensors = (torch.from_numpy(np.ascontiguousarray(array)) for array in (values, credit))
    return estimate_advantages(*tensors, mask, gamma=1.0, gae_lambda=gae_lambda)[0].numpy()


def moments_of(scores: np.ndarray, credit: np.ndarray, critic: Critic, gae_lambda: float) -> Moments:
    """Of one response, whose own score and credit are the last rows.

    Args:
        scores: `(T + 1) x M` scores after the first 0..T tokens.
        credit: `(T + 1) x K x L` credit of continuations from there.
        critic: What the estimate knows.
        gae_lambda: Its decay.
    """
    n_tokens = len(scores) - 1
    values, own_values = value_halves(scores, credit)
    truths = np.diff(values[0]), np.diff(values[1])
    own = np.repeat(credit[-1, 0, None, :n_tokens], 2, axis=0)
    critics = np.stack(own_values) if critic == "own" else np.zeros_like(own)
    first, second = gae(own, critics, gae_lambda)
    biases = bias_halves(scores, credit, critic, gae_lambda)
    return Moments(
        n_tokens=n_tokens,
        truth=float(truths[0] @ truths[1]),
        bias=float(biases[0] @ biases[1]),
        bias_by_truth=float(biases[0] @ truths[1] + biases[1] @ truths[0]) / 2,
        estimate=float((first + second).sum()) / 2,
        squared=float(first @ second),
        product=float(first @ truths[1] + second @ truths[0]) / 2,
    )
