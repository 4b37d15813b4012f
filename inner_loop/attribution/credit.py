"""Credit: what an explanation says about one response."""

from dataclasses import dataclass, field

import numpy as np

from inner_loop.units.response_units import last_tokens_of_units


@dataclass(frozen=True)
class Pieces:
    """What a method says of the tokens of a model of its own: more than the units' credit."""

    ends: np.ndarray
    """Ends of the model's tokens, in characters of the response."""
    values: np.ndarray
    """One per token, in score units, or shares of 1."""
    are_shares: bool = False
    """Whether the values are shares, of the score of the whole response."""


@dataclass(frozen=True)
class Credit:
    """Credit of one response's units, as the methods give it (not yet corrected to conserve the score)."""

    prompt: str
    response: str
    offsets: list[tuple[int, int]]
    """Character ranges of the `n` units in the response; they partition it."""
    base_value: float
    """Score with every unit absent: of the prompt alone, or of the response all masked."""
    full_value: float
    """Score of the whole response."""
    values: dict[str, np.ndarray]
    """Per method, `n` values in score units. Shapley and Owen values sum to `full_value - base_value`."""
    n_evaluations: int
    """Distinct sequences scored for this response, the full and the empty one included; attention takes a pass more."""
    std: dict[str, np.ndarray] = field(default_factory=dict)
    """Per method that estimates from coalitions, `n` posterior standard deviations; 0 where the values are exact."""
    unread: list[tuple[int, int]] = field(default_factory=list)
    """Which of the units the reward model had no room for: they have no credit."""
    pieces: dict[str, Pieces] = field(default_factory=dict)
    """Per method that knows nothing of units (attention, token models): what it says of its model's own tokens."""
    token_ends: list[int] | None = None
    """End of each policy token in characters of the response; None without a policy tokenizer."""
    token_values: dict[str, np.ndarray] | None = None
    """Per method, one value per policy token, with the sum of `values`; None without a policy tokenizer."""

    @property
    def units(self) -> list[str]:
        """The `n` texts of the units; joined, they are the response."""
        return [self.response[start:end] for start, end in self.offsets]

    @property
    def ends(self) -> np.ndarray:
        """`n` ends of the units, in characters of the response."""
        return np.array([end for _, end in self.offsets], dtype=int)

    @property
    def is_read(self) -> np.ndarray:
        """`n` booleans: the units that the reward model had room for, or a part of them."""
        return np.array([unit not in self.unread for unit in self.offsets], dtype=bool)

    def on_tokens(self, method: str, token_ends: np.ndarray) -> np.ndarray:
        """`t` credits of a method on tokens that end at `token_ends`; see `place_on_tokens`."""
        if pieces := self.pieces.get(method):
            return place_on_tokens(
                pieces.ends, pieces.values * (self.full_value if pieces.are_shares else 1.0), token_ends
            )
        return place_on_tokens(self.ends, self.values[method], token_ends)


def place_on_tokens(ends: np.ndarray, values: np.ndarray, token_ends: np.ndarray) -> np.ndarray:
    """`t` credits of tokens: the values of what each token completes; their sum stays.

    Args:
        ends: `n` ends of what has credit, in characters of the response.
        values: `n` credits.
        token_ends: `t >= 1` ends of the tokens, non-decreasing.
    """
    tokens = np.zeros(len(token_ends))
    np.add.at(tokens, last_tokens_of_units(ends, token_ends), values)
    return tokens
