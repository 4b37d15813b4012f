"""Credit of responses that a reward model did not read in one go: what it left out, and what it read in windows."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from inner_loop.attribution.credit import Credit, Pieces, place_on_tokens
from inner_loop.models.windows import Window


def with_unread(credit: Credit, read: tuple[int, int]) -> Credit:
    """The credit with what was not read as units of their own, which have none.

    Args:
        credit: Of the units that were read.
        read: Characters of the response that were read.
    """
    start, end = read
    before = [(0, start)] if start > 0 else []
    behind = [(end, len(credit.response))] if end < len(credit.response) else []
    if not before and not behind:
        return credit

    def padded(values: np.ndarray) -> np.ndarray:
        return np.concatenate([np.zeros(len(before)), values, np.zeros(len(behind))])

    return replace(
        credit,
        offsets=[*before, *credit.offsets, *behind],
        values={method: padded(values) for method, values in credit.values.items()},
        std={method: padded(std) for method, std in credit.std.items()},
        unread=[*before, *behind],
    )


def join_windows(
    prompts: Sequence[str], responses: Sequence[str], windows: Sequence[Sequence[Window]], pieces: Sequence[Credit]
) -> list[Credit]:
    """One credit per response whose score is the mean over its windows: those of the windows, divided by their number.

    Args:
        prompts: `b` prompts.
        responses: `b` responses.
        windows: Per response, its windows.
        pieces: The credits of all windows, in order.
    """
    rest, joined = list(pieces), []
    for prompt, response, parts in zip(prompts, responses, windows, strict=True):
        own, rest = rest[: len(parts)], rest[len(parts) :]
        joined.append(own[0] if len(parts) == 1 else _joined(prompt, response, parts, own))
    return joined


def _joined(prompt: str, response: str, windows: Sequence[Window], pieces: Sequence[Credit]) -> Credit:
    starts, count = [start for start, _ in windows], len(windows)
    credit = Credit(
        prompt=prompt,
        response=response,
        offsets=[(start + a, start + b) for start, piece in zip(starts, pieces, strict=True) for a, b in piece.offsets],
        base_value=sum(piece.base_value for piece in pieces) / count,
        full_value=sum(piece.full_value for piece in pieces) / count,
        values={method: np.concatenate([p.values[method] for p in pieces]) / count for method in pieces[0].values},
        n_evaluations=sum(piece.n_evaluations for piece in pieces),
        std={method: np.concatenate([piece.std[method] for piece in pieces]) / count for method in pieces[0].std},
    )
    for method, first in pieces[0].pieces.items():
        own = [piece.pieces[method] for piece in pieces]
        ends = np.concatenate([start + piece.ends for start, piece in zip(starts, own, strict=True)])
        values = np.concatenate([piece.values for piece in own]) / count
        # Shares of the joined score are those of the windows, each of which counts alike.
        whole = values * credit.full_value if first.are_shares else values
        units = place_on_tokens(ends, whole, credit.ends) if credit.offsets else np.zeros(0)
        credit = replace(
            credit,
            values=credit.values | {method: units},
            pieces=credit.pieces | {method: Pieces(ends, values, first.are_shares)},
        )
    return credit
