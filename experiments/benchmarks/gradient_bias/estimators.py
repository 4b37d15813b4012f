"""Advantage estimators over all responses of a toy: GAE with four critics, and candidates that mend or mute credit.

Everything is `N x T`. The proofs are in `experiments/benchmarks/gradient_bias.md`.

.. [Schulman2016] High-Dimensional Continuous Control Using Generalized Advantage Estimation. arXiv:1506.02438.
.. [Cheng2019] Trajectory-wise Control Variates for Variance Reduction in Policy Gradient Methods. arXiv:1908.03263.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
import torch

from experiments.benchmarks.gradient_bias.credit import with_the_rest_last
from experiments.benchmarks.gradient_bias.toy import Toy
from inner_loop.ppo.advantages import estimate_advantages

CriticKind = Literal["exact", "linear", "position", "zero"]
"""What the critic knows: the conditional expectation, its best linear fit on which token stands where, the mean at each
position (a group's mean), nothing."""

CRITICS: tuple[CriticKind, ...] = ("exact", "linear", "position", "zero")

PRIOR_COUNT = 1.0
"""Responses' worth of weight that a worth estimated from few sightings gives to the mean."""


def predict(toy: Toy, target: np.ndarray, n_known: int, critic: CriticKind) -> np.ndarray:
    """`N` what the critic expects of `N` targets after the first `n_known` tokens."""
    if critic == "zero":
        return np.zeros(toy.n_responses)
    if critic == "exact":
        return toy.expectation(target, n_known)
    columns = [np.ones(toy.n_responses)]
    if critic == "linear":
        # One token less than the vocabulary: the shares of all of them sum to the constant.
        columns += [toy.tokens[:, t] == a for t in range(n_known) for a in range(toy.vocabulary - 1)]
    design, root = np.stack(columns, axis=1), np.sqrt(toy.probabilities)
    return design @ np.linalg.lstsq(design * root[:, None], target * root, rcond=None)[0]


def critic_values(toy: Toy, credit: np.ndarray, critic: CriticKind) -> np.ndarray:
    """`N x T` the critic's estimate of the credit from token t on, before token t is known."""
    to_go = credit[:, ::-1].cumsum(axis=1)[:, ::-1]
    return np.stack([predict(toy, to_go[:, t], t, critic) for t in range(toy.n_tokens)], axis=1)


def gae(credit: np.ndarray, values: np.ndarray, gae_lambda: float) -> np.ndarray:
    """`N x T` advantages [Schulman2016]_, by the function that the trainer uses; reward-to-go at lambda = 1."""
    mask = torch.ones(credit.shape, dtype=torch.bool)
    advantages, _ = estimate_advantages(
        torch.from_numpy(values), torch.from_numpy(credit), mask, gamma=1.0, gae_lambda=gae_lambda
    )
    return advantages.numpy()


def centred_gae(credit: np.ndarray, values: np.ndarray, centred: np.ndarray, gae_lambda: float) -> np.ndarray:
    """GAE with the luck of later tokens taken out: m_t + GAE(c - m)_t [Cheng2019]_.

    Args:
        credit: `N x T`.
        values: `N x T`.
        centred: `N x T` m, each of conditional mean zero given the tokens before (see `centre`).
        gae_lambda: Decay.
    """
    return centred + gae(credit - centred, values, gae_lambda)


def centre(toy: Toy, worth: np.ndarray) -> np.ndarray:
    """`N x T` m_t = w_t[y_t] - sum_a pi(a | y_<t) w_t[a], for a table `T x V` of worths."""
    taken = np.take_along_axis(worth, toy.tokens.T, axis=1).T
    return taken - np.einsum("tnv,tv->nt", toy.action_probabilities, worth)


def centred_head(toy: Toy, credit: np.ndarray) -> np.ndarray:
    """`N x T` m of a perfect head: E[c_t | y_<=t] - E[c_t | y_<t]."""
    return np.stack(
        [toy.expectation(credit[:, t], t + 1) - toy.expectation(credit[:, t], t) for t in range(toy.n_tokens)], axis=1
    )


def estimate_worth(toy: Toy, credit: np.ndarray, responses: np.ndarray, *, by_position: bool) -> np.ndarray:
    """`T x V` mean credit of each vocabulary token over some responses, shrunk to the mean of all tokens.

    Args:
        toy: The policy.
        credit: `N x T`.
        responses: Indices of the responses seen.
        by_position: Whether every position has a table of its own.
    """
    tokens, seen = toy.tokens[responses], credit[responses]
    if not by_position:
        return np.repeat(_mean_by_token(tokens.ravel(), seen.ravel(), toy.vocabulary)[None], toy.n_tokens, axis=0)
    return np.stack([_mean_by_token(tokens[:, t], seen[:, t], toy.vocabulary) for t in range(toy.n_tokens)])


def _mean_by_token(tokens: np.ndarray, credit: np.ndarray, vocabulary: int) -> np.ndarray:
    mean = credit.mean()
    counts = np.bincount(tokens, minlength=vocabulary)
    return mean + np.bincount(tokens, credit - mean, minlength=vocabulary) / (counts + PRIOR_COUNT)


def past_credit_revision(toy: Toy, credit: np.ndarray, critic: CriticKind) -> np.ndarray:
    """`N x T` what token t changes in the expected credit of the tokens before it, as the critic sees it.

    Added to advantages it gives back what reward-to-go drops: E[C_<t | y_<=t] - E[C_<t | y_<t].
    """
    past = credit.cumsum(axis=1) - credit
    return np.stack(
        [predict(toy, past[:, t], t + 1, critic) - predict(toy, past[:, t], t, critic) for t in range(toy.n_tokens)],
        axis=1,
    )


def causal_projection(toy: Toy, credit: np.ndarray, critic: CriticKind) -> np.ndarray:
    """`N x T` each credit as expected when its token is sampled; what that misses of the reward goes on the last."""
    projected = np.stack([predict(toy, credit[:, t], t + 1, critic) for t in range(toy.n_tokens)], axis=1)
    return with_the_rest_last(projected, credit.sum(axis=1))


def leave_one_out(values: np.ndarray) -> np.ndarray:
    """`N x T` advantages R - v(all but t), for `N x 2^T` coalition values."""
    full = values.shape[1] - 1
    return np.stack([values[:, -1] - values[:, full - 2**t] for t in range(full.bit_length())], axis=1)
