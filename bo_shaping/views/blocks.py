"""The parts of a response that were credited, as they were written: runs of tokens, each with what it was paid in all.

The credit of a unit is paid on the token that completes it, so that token by token a response reads as nonsense: the
first piece of a word has none, the comma behind a phrase all of it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from inner_loop.spec import ExplainedResponse


@dataclass(frozen=True)
class Block:
    """Some tokens of a response that were credited together."""

    text: str
    """As it was written; empty for the end of the response."""
    first: int
    """Index of the first token."""
    end: int
    """Index behind the last token, which is where the credit of a unit is paid."""
    stop: int
    """Where its text ends, in characters of the response."""

    def credit(self, values: Sequence[float]) -> float:
        """What the tokens were paid together, of one value per token of the response."""
        return float(sum(values[self.first : self.end]))


def blocks_of(sample: ExplainedResponse) -> list[Block]:
    """The blocks of a response; joined, their texts are the response.

    They are its units. Of a result that does not name them, they are what ends where credit was paid, or else words.
    """
    n_tokens = len(sample.tokens)
    lasts = sample.unit_tokens or _paid_tokens(sample) or _last_tokens_of_words(sample.tokens)
    # Tokens without a text, such as the end of the sequence, stand alone: no unit is theirs.
    end_of_text = next((i for i in range(n_tokens, 0, -1) if sample.tokens[i - 1]), 0)
    ends = sorted({0, *(last + 1 for last in lasts if last < n_tokens), end_of_text, n_tokens})
    blocks, stop = [], 0
    for first, end in pairwise(ends):
        text = "".join(sample.tokens[first:end])
        stop += len(text)
        blocks.append(Block(text, first, end, stop))
    return blocks


def _paid_tokens(sample: ExplainedResponse) -> list[int]:
    """Tokens that a component pays which pays some of the tokens only, and more than the last one."""
    paid: set[int] = set()
    for values in sample.components.values():
        tokens = {token for token, value in enumerate(values[:-1]) if value != 0.0}
        if 0 < len(tokens) < len(values) - 1:
            paid |= tokens
    return sorted(paid)


def _last_tokens_of_words(tokens: Sequence[str]) -> list[int]:
    return [i for i, (token, after) in enumerate(pairwise(tokens)) if after[:1].isspace() or token[-1:].isspace()]
