"""Reward games: what each coalition of a response's tokens is worth, for every response.

A game is built from Harsanyi dividends [Harsanyi1963]_: v(S) of response y is the sum, over the sets U within S, of
d_U(y_U), what the tokens of U earn together and no part of U earns alone. Every game in which v(S) sees only the tokens
of S (absent ones removed or replaced by a mask) is of this form.

.. [Harsanyi1963] A Simplified Bargaining Model for the n-Person Cooperative Game.
"""

from __future__ import annotations

from itertools import combinations
from typing import Literal

import numpy as np

GameKind = Literal["additive", "first", "last", "words", "pairs", "negation", "order"]

GAMES: dict[GameKind, str] = {
    "additive": "each token earns its own worth, which depends on the position",
    "first": "only the first token counts",
    "last": "only the last token counts",
    "words": "a token is worth the same wherever it stands, but its predecessor may turn the sign",
    "pairs": "tokens of the first half interact with tokens of the second half",
    "negation": "the first token decides the sign of what all the others earn",
    "order": "interactions of every order, half as strong with each further token",
}

DECAY = 0.5
"""Scale of a dividend of k + 1 tokens relative to one of k, in `order`."""
SIDE = 0.5
"""Scale of what tokens earn alone where interactions are the matter."""

Dividends = dict[tuple[int, ...], np.ndarray]
"""Per set of positions (ascending), an array with one axis of length V per position."""


def draw_dividends(kind: GameKind, vocabulary: int, n_tokens: int, rng: np.random.Generator) -> Dividends:
    """A random game."""

    def normal(size: int) -> np.ndarray:
        return rng.normal(size=(vocabulary,) * size)

    everyone = range(n_tokens)
    if kind == "additive":
        return {(t,): normal(1) for t in everyone}
    if kind == "first":
        return {(0,): normal(1)}
    if kind == "last":
        return {(n_tokens - 1,): normal(1)}
    if kind == "words":
        worth = normal(1)
        turned = np.zeros((vocabulary, vocabulary))
        turned[0] = -2 * worth  # token 0 is "not"
        return {(t,): worth for t in everyone} | {(t - 1, t): turned for t in everyone if t}
    if kind == "pairs":
        early, late = everyone[: n_tokens // 2], everyone[(n_tokens + 1) // 2 :]
        return {(t,): SIDE * normal(1) for t in everyone} | {(s, t): normal(2) for s in early for t in late}
    if kind == "negation":
        sign = np.array([1.0, -1.0, *np.zeros(vocabulary - 2)])
        alone = {(t,): SIDE * normal(1) for t in everyone if t}
        return alone | {(0, t): np.outer(sign, normal(1)) for t in everyone if t}
    sizes = range(1, n_tokens + 1)
    return {group: DECAY ** (k - 1) * normal(k) for k in sizes for group in combinations(everyone, k)}


def coalition_values(dividends: Dividends, tokens: np.ndarray) -> np.ndarray:
    """`N x 2^T` values; column c is the coalition of the binary digits of c, lowest first."""
    n_responses, n_tokens = tokens.shape
    coalitions = np.arange(2**n_tokens)
    values = np.zeros((n_responses, 2**n_tokens))
    for group, table in dividends.items():
        bits = sum(1 << t for t in group)
        earned = table[tuple(tokens[:, t] for t in group)]
        values[:, (coalitions & bits) == bits] += earned[:, None]
    return values
