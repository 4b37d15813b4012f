"""What a component is given, and what it must give back."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np

from inner_loop.spec.attribution_config import BasePlacement

if TYPE_CHECKING:
    from inner_loop.attribution.credit import Credit


@dataclass(frozen=True)
class TokenFacts:
    """What is known of the `t` tokens of one response from the policy's side, at sampling."""

    logprobs: np.ndarray
    """`t` log-probabilities under the policy."""
    ref_logprobs: np.ndarray
    """`t` log-probabilities under the reference."""
    entropy: np.ndarray
    """`t` entropies of the distributions that the tokens were drawn from, in nats."""
    values: np.ndarray | None = None
    """`t` estimates of the critic, of the states that the tokens were drawn in; None without one."""


@dataclass(frozen=True)
class Spread:
    """One response whose sequence reward is to be spread over its `t >= 1` tokens."""

    score: float
    """The sequence reward."""
    token_ends: np.ndarray
    """`t` ends of the tokens, in characters of the response, non-decreasing."""
    credit: "Credit | None"
    """The explanation of the reward model's score, if any component asked for one."""
    base_value: BasePlacement = "last"
    """Where r(x, nothing), which no token of the response can change, goes: on the last token, evenly on all, or
    nowhere."""
    token_facts: TokenFacts | None = None
    """What the policy knew; None where no policy wrote the response, or nobody said."""

    sharpness: float = 1.0
    """Power that credit is raised to."""

    @property
    def total(self) -> float:
        """What the tokens' credits must sum to: the score, less the base value where that is dropped."""
        if self.base_value == "drop" and self.credit is not None:
            return self.score - self.credit.base_value
        return self.score

    def sharpened(self, values: np.ndarray) -> np.ndarray:
        """`n` credits raised to the power `sharpness`, with their signs and the sum of their sizes kept."""
        if self.sharpness == 1.0 or not np.abs(values).max(initial=0.0) > 0:
            return values
        # Relative to the largest, so that no power leaves the range of floats.
        powers = (np.abs(values) / np.abs(values).max()) ** self.sharpness
        sharpened: np.ndarray = np.sign(values) * powers * (np.abs(values).sum() / powers.sum())
        return sharpened

    def on_last_token(self) -> np.ndarray:
        """`t` credits: everything on the last token."""
        tokens = np.zeros(len(self.token_ends))
        tokens[-1] = self.total
        return tokens

    def with_the_rest(self, tokens: np.ndarray) -> np.ndarray:
        """`t` credits that sum to `total`, made from credits of what the units earned, r(x, y) - r(x, nothing).

        The base value goes where `base_value` says. Whatever the score holds beyond the reward model's r(x, y), a
        length penalty say, goes on the last token, and rounding with it.
        """
        tokens = tokens.copy()
        if self.credit is not None and self.base_value == "uniform":
            tokens += self.credit.base_value / len(tokens)
        tokens[-1] += self.total - tokens.sum()
        return tokens


class Component(Protocol):
    """A way to spread a sequence reward over tokens."""

    method: str | None
    """The method of `inner_loop.attribution.explain` whose result it spreads; None if it needs no explanation."""

    def token_credit(self, spread: Spread) -> np.ndarray:
        """`t` credits, summing to `spread.total`."""
