"""A response that is longer than a reward model reads, in windows of which each fits."""

from collections.abc import Sequence

import numpy as np

from inner_loop.errors import TaskError
from inner_loop.models.encoding import ResponseEncoder

Window = tuple[int, int]
"""Characters of the response."""

SPARE = 4
"""Tokens of room in a window: tokenised on its own, a piece may take a few more than within the whole."""


def windows_of(
    encoder: ResponseEncoder, max_tokens: int, prompts: Sequence[str], responses: Sequence[str]
) -> list[list[Window]]:
    """Consecutive windows of about the same size, each behind the whole prompt; one where all of it fits.

    Raises:
        TaskError: If a prompt leaves no room for a response.
    """
    whole = encoder.without_limit().encode(prompts, responses)
    windows: list[list[Window]] = []
    for prompt, response, row in zip(prompts, responses, whole, strict=True):
        if len(row.ids) <= max_tokens:
            windows.append([(0, len(response))])
            continue
        ends = np.array([end for _, end in row.response_spans])
        room = max_tokens - (len(row.ids) - len(ends)) - SPARE
        if room < 1:
            raise TaskError(
                f"task.long_responses: the reward model reads {max_tokens} tokens, and a prompt leaves no room for its "
                f"response; shorten the prompts. It begins {prompt[:60]!r}."
            )
        count = -(-len(ends) // room)
        cuts = [int(ends[len(ends) * part // count - 1]) for part in range(1, count)]
        windows.append(list(zip([0, *cuts], [*cuts, len(response)], strict=True)))
    return windows


def pieces_of(
    prompts: Sequence[str], responses: Sequence[str], windows: Sequence[Sequence[Window]]
) -> tuple[list[str], list[str]]:
    """The prompt and the text of every window, response by response."""
    rows = [(row, slice(*window)) for row, parts in enumerate(windows) for window in parts]
    return [prompts[row] for row, _ in rows], [responses[row][window] for row, window in rows]
