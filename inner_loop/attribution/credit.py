"""Credit: what an explanation says about one response."""

from dataclasses import dataclass, field

import numpy as np

from inner_loop.units import last_tokens_of_units


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
    """Distinct sequences scored for this response, the full and the empty one included."""
    std: dict[str, np.ndarray] = field(default_factory=dict)
    """Per method that estimates from coalitions, `n` posterior standard deviations; 0 where the values are exact."""
    pieces: dict[str, tuple[np.ndarray, np.ndarray]] = field(default_factory=dict)
    """Methods that know more than the units' credit: ends of finer pieces of the response, and their values."""
    token_ends: list[int] | None = None
    """End of each policy token in characters of the response; None without a policy tokenizer."""
    token_values: dict[str, np.ndarray] | None = None
    """Per method, one value per policy token, with the sum of `values`; None without a policy tokenizer."""

    @property
    def units(self) -> list[str]:
        """The `n` texts of the units; joined, they are the response."""
        return [self.response[start:end] for start, end in self.offsets]

    def on_tokens(self, method: str, token_ends: np.ndarray, values: np.ndarray | None = None) -> np.ndarray:
        """`t` credits of tokens that end at `token_ends`: those of the units (or pieces) that each token completes.

        Args:
            method: Whose credit.
            token_ends: `t >= 1` ends in characters of the response, non-decreasing.
            values: `n` values to place instead of those of the units.
        """
        ends = np.array([end for _, end in self.offsets], dtype=int)
        if values is None:
            ends, values = self.pieces.get(method, (ends, self.values[method]))
        tokens = np.zeros(len(token_ends))
        np.add.at(tokens, last_tokens_of_units(ends, token_ends), values)
        return tokens
