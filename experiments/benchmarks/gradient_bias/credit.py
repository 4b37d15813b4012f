"""Credit components of every response of a toy, each summing to its reward, placed as the product places them."""

from __future__ import annotations

import numpy as np

from experiments.benchmarks.gradient_bias.toy import Toy
from inner_loop.attribution.estimate import estimate
from inner_loop.attribution.owen import Groups, as_tree

COMPONENTS = ("sparse", "uniform", "shap", "lime", "owen", "prefix", "oracle")

METHODS = {"shap": "shapley", "lime": "lime", "owen": "owen"}
"""Explanations; given every coalition, the library's values are exact."""


def all_credit(toy: Toy, values: np.ndarray) -> dict[str, np.ndarray]:
    """Per component, `N x T` credits.

    `prefix` is v(y_<=t) - v(y_<t). `oracle` is E[R | y_<=t] - E[R | y_<t], the return decomposition that leaves nothing
    to be expected. The base value goes on the last token.

    Args:
        toy: The policy.
        values: `N x 2^T` coalition values.
    """
    rewards, n_tokens = values[:, -1], toy.n_tokens
    sparse = np.zeros(toy.tokens.shape)
    sparse[:, -1] = rewards
    prefixes = values[:, [2**t - 1 for t in range(n_tokens + 1)]]
    expected = np.stack([toy.expectation(rewards, t) for t in range(n_tokens + 1)], axis=1)
    return {
        "sparse": sparse,
        "uniform": np.repeat(rewards[:, None] / n_tokens, n_tokens, axis=1),
        "shap": attributed("shap", values),
        "lime": attributed("lime", values),
        "owen": attributed("owen", values),
        "prefix": with_the_rest_last(np.diff(prefixes, axis=1), rewards),
        "oracle": with_the_rest_last(np.diff(expected, axis=1), rewards),
    }


def attributed(component: str, values: np.ndarray) -> np.ndarray:
    """`N x T` credits of an explanation: LIME's gap evenly over the tokens, the base value on the last."""
    n_tokens = values.shape[1].bit_length() - 1
    coalitions = np.arange(2**n_tokens)[:, None] >> np.arange(n_tokens) & 1 == 1
    tree = as_tree(halves(list(range(n_tokens))), n_tokens) if component == "owen" else None
    credit = estimate(METHODS[component], coalitions, values, tree=tree).values
    gap = values[:, -1] - values[:, 0] - credit.sum(axis=1)
    return with_the_rest_last(credit + gap[:, None] / n_tokens, values[:, -1])


def with_the_rest_last(credit: np.ndarray, rewards: np.ndarray) -> np.ndarray:
    """`N x T` credits, with what is missing from the rewards added to the last token."""
    credit = credit.copy()
    credit[:, -1] += rewards - credit.sum(axis=1)
    return credit


def halves(units: list[int]) -> Groups:
    """Nested lists that halve the units until one is left."""
    middle = (len(units) + 1) // 2
    return units if len(units) < 2 else [halves(units[:middle]), halves(units[middle:])]
