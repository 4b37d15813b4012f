"""A policy so small that every response, its probability and its gradient are written down.

N = V^T responses of T tokens from a vocabulary of V, in lexicographic order. The policy is a softmax of linear logits,
`features(y_<t) @ theta`; a tabular policy is the case of one feature per prefix. P is the number of parameters.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from itertools import product
from typing import Literal

import numpy as np

PolicyKind = Literal["tabular", "shared"]
"""Logits of their own for each prefix, or the same weights at every position."""


@dataclass(frozen=True)
class Toy:
    """An enumerated autoregressive policy."""

    tokens: np.ndarray
    """`N x T` all responses."""
    features: np.ndarray
    """`T x N x F` what the policy sees before token t: a function of the tokens before t alone."""
    theta: np.ndarray
    """`F x V` parameters; P = F V."""

    @property
    def n_responses(self) -> int:
        """N."""
        return self.tokens.shape[0]

    @property
    def n_tokens(self) -> int:
        """T."""
        return self.tokens.shape[1]

    @property
    def vocabulary(self) -> int:
        """V."""
        return self.theta.shape[1]

    @cached_property
    def action_probabilities(self) -> np.ndarray:
        """`T x N x V` pi(a | y_<t)."""
        logits = self.features @ self.theta
        weights = np.exp(logits - logits.max(axis=-1, keepdims=True))
        return weights / weights.sum(axis=-1, keepdims=True)

    @cached_property
    def probabilities(self) -> np.ndarray:
        """`N` probabilities of the responses."""
        taken = np.take_along_axis(self.action_probabilities, self.tokens.T[..., None], axis=-1)
        return taken.squeeze(-1).prod(axis=0)

    @cached_property
    def scores(self) -> np.ndarray:
        """`T x N x P` gradients of log pi(y_t | y_<t): features (x) (one-hot of y_t - pi)."""
        one_hot = np.eye(self.vocabulary)[self.tokens.T]
        outer = self.features[..., :, None] * (one_hot - self.action_probabilities)[..., None, :]
        return outer.reshape(self.n_tokens, self.n_responses, -1)

    @cached_property
    def score_products(self) -> np.ndarray:
        """`N x T x T` inner products of the scores of two tokens of one response."""
        return np.einsum("tnp,unp->ntu", self.scores, self.scores, optimize=True)

    def expectation(self, values: np.ndarray, n_known: int) -> np.ndarray:
        """`N` E[values | the first `n_known` tokens], given for every response."""
        group = self.vocabulary ** (self.n_tokens - n_known)
        weights = self.probabilities.reshape(-1, group)
        means = (weights * values.reshape(-1, group)).sum(axis=1) / weights.sum(axis=1)
        return np.repeat(means, group)

    def true_gradient(self, rewards: np.ndarray) -> np.ndarray:
        """`P` gradient of the expected reward, for `N` rewards."""
        return np.einsum("n,tnp->p", self.probabilities * rewards, self.scores, optimize=True)


def all_responses(vocabulary: int, n_tokens: int) -> np.ndarray:
    """`N x T` in lexicographic order."""
    return np.array(list(product(range(vocabulary), repeat=n_tokens)))


def make_toy(kind: PolicyKind, vocabulary: int, n_tokens: int, rng: np.random.Generator) -> Toy:
    """A policy with standard normal parameters: neither uniform nor nearly deterministic."""
    tokens = all_responses(vocabulary, n_tokens)
    features = prefix_indicators(tokens, vocabulary) if kind == "tabular" else _shared_features(tokens, vocabulary)
    return Toy(tokens, features, rng.normal(size=(features.shape[-1], vocabulary)))


def prefix_indicators(tokens: np.ndarray, vocabulary: int) -> np.ndarray:
    """`T x N x F` one feature per prefix, shorter prefixes first."""
    n_responses, n_tokens = tokens.shape
    starts = np.cumsum([0] + [vocabulary**length for length in range(n_tokens)])
    features = np.zeros((n_tokens, n_responses, starts[-1]))
    for t in range(n_tokens):
        prefix = np.arange(n_responses) // vocabulary ** (n_tokens - t)
        features[t, np.arange(n_responses), starts[t] + prefix] = 1.0
    return features


def _shared_features(tokens: np.ndarray, vocabulary: int) -> np.ndarray:
    """`T x N x F`: a constant, the position, the previous token, and the shares of each token so far."""
    n_responses, n_tokens = tokens.shape
    one_hot = np.eye(vocabulary)[tokens]
    features = np.zeros((n_tokens, n_responses, 2 + 2 * vocabulary))
    features[:, :, 0] = 1.0
    for t in range(n_tokens):
        features[t, :, 1] = t / n_tokens
        if t:
            features[t, :, 2 : 2 + vocabulary] = one_hot[:, t - 1]
            features[t, :, 2 + vocabulary :] = one_hot[:, :t].mean(axis=1)
    return features
