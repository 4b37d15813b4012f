"""Plain functions as reward models, also those that ask a server: what passes is waited for, what stays is reported."""

import errno
import socket
import ssl
import time
from collections.abc import Callable, Sequence
from urllib.error import URLError

import numpy as np
import torch

from inner_loop.errors import UnreachableRewardModelError
from inner_loop.models.scores import check_count, check_scores

WAITS = (1.0, 2.0, 4.0, 8.0, 16.0)
"""Seconds before each new try: half a minute in all, in which a server restarts or a rate limit is over."""

PASSING_NAMES = frozenset(
    {
        "APIConnectionError",
        "APITimeoutError",
        "ChunkedEncodingError",
        "ConnectTimeout",
        "ConnectionError",
        "IncompleteRead",
        "InternalServerError",
        "MaxRetryError",
        "NewConnectionError",
        "ProtocolError",
        "RateLimitError",
        "ReadTimeout",
        "ReadTimeoutError",
        "RemoteProtocolError",
        "ServiceUnavailableError",
        "Timeout",
        "TransportError",
    }
)
"""Classes of the usual clients, which are no builtin errors. By name, since none of these packages need be here."""

PASSING_STATUSES = frozenset({408, 425, 429, 500, 502, 503, 504, 520, 522, 524, 529})
"""HTTP statuses that another try may not get; the last four say that a server behind another is down or too busy."""

PASSING_ERRNOS = frozenset({errno.ENETDOWN, errno.ENETUNREACH, errno.EHOSTDOWN, errno.EHOSTUNREACH})
"""What the system says of a network that is down."""

NOISE_RTOL = 1e-4
"""Scores of one text that differ by less, relative to the largest, differ by rounding."""


class CallableRewardModel:
    """A plain function `list[str] -> list[float]` as a reward model.

    A call that cannot be answered for now (connection, time-out, rate limit, memory) is made again, later and for half
    as many texts at a time; scores that are there already are not asked for again.

    Args:
        function: What scores.
        sleep: Waits for so many seconds.

    Raises:
        RewardModelError: When the function returns the wrong number of scores or a score that is not finite.
        UnreachableRewardModelError: When it still cannot be called after the last try. Any other error of the function
            is raised as it is.
    """

    mask_text = "..."

    def __init__(
        self, function: Callable[[list[str]], Sequence[float]], *, sleep: Callable[[float], object] = time.sleep
    ) -> None:
        self._function, self._sleep = function, sleep

    def score(self, texts: Sequence[str]) -> list[float]:
        """The function's scores, checked."""
        return check_scores(self.unchecked_score(texts), texts)

    def unchecked_score(self, texts: Sequence[str]) -> list[float]:
        """As `score`, but the scores may be infinite or NaN."""
        scores: list[float] = []
        size, n_tries, n_waits = max(len(texts), 1), 0, 0
        while True:
            batch = list(texts[len(scores) : len(scores) + size])
            n_tries += 1
            try:
                answer = self._function(batch)
            except Exception as error:
                is_too_much = is_out_of_memory(error)
                if not is_too_much and not is_passing(error):
                    raise
                is_halved_at_once = is_too_much and len(batch) > 1
                if not is_halved_at_once and n_waits == len(WAITS):
                    which = _name_texts(len(scores), len(batch), len(texts))
                    raise UnreachableRewardModelError(_gave_up(error, which, n_tries)) from error
            else:
                scores += check_count(answer, batch)
                if len(scores) == len(texts):
                    return scores
                n_tries, n_waits = 0, 0
                continue
            # Behind the handler: the error holds on to the frames, and so to the memory, of the call that failed.
            if is_halved_at_once:
                torch.cuda.empty_cache()
            else:
                self._sleep(WAITS[n_waits])
                n_waits += 1
            size = max(len(batch) // 2, 1)


def largest_difference(reward_model: CallableRewardModel, texts: Sequence[str]) -> float:
    """How much the scores of texts differ when they are asked for again, in another order; 0.0 if by rounding only.

    Args:
        reward_model: Asked twice; a text's score may depend neither on the call nor on the other texts.
        texts: A few of them.

    Raises:
        RewardModelError: As `CallableRewardModel.score`.
    """
    first, second = np.array(reward_model.score(texts)), np.array(reward_model.score(texts[::-1])[::-1])
    largest = float(np.abs(first - second).max(initial=0.0))
    return largest if largest > NOISE_RTOL * float(np.abs(first).max(initial=0.0)) else 0.0


def is_passing(error: BaseException) -> bool:
    """Whether the next call may well succeed: the other side could not be reached, or was too busy."""
    response = getattr(error, "response", None)
    statuses = [
        getattr(error, "status_code", None),
        getattr(error, "code", None),
        getattr(response, "status_code", None),
    ]
    # Other protocols have a `code`, too.
    known = [status for status in statuses if isinstance(status, int) and 400 <= status < 600]
    if known:
        return any(status in PASSING_STATUSES for status in known)
    # urllib wraps what the system says (no such host, no route to it); what it says itself, in words, stays wrong.
    said = error.reason if isinstance(error, URLError) else error
    if isinstance(said, ssl.SSLCertVerificationError):
        return False
    if isinstance(error, URLError) and isinstance(said, OSError):
        return True
    if isinstance(error, ConnectionError | TimeoutError | socket.gaierror):
        return True
    if isinstance(error, OSError) and error.errno in PASSING_ERRNOS:
        return True
    return any(ancestor.__name__ in PASSING_NAMES for ancestor in type(error).__mro__)


def is_out_of_memory(error: BaseException) -> bool:
    """Whether fewer texts at a time may help."""
    return isinstance(error, MemoryError | torch.OutOfMemoryError) or (
        isinstance(error, RuntimeError) and "out of memory" in str(error).lower()
    )


def _name_texts(first: int, n_asked: int, n_texts: int) -> str:
    return f"text {first} of {n_texts}" if n_asked == 1 else f"texts {first} to {first + n_asked - 1} of {n_texts}"


def _gave_up(error: Exception, which: str, n_tries: int) -> str:
    why = (str(error).strip().splitlines() or ["no reason given"])[0][:100]
    return (
        f"The reward function could not score {which}, tried {n_tries} times with {sum(WAITS):.0f} seconds of waiting: "
        f"{why} ({type(error).__name__}). The trial keeps its checkpoint, and goes on from there after bo-shaping "
        "retry."
    )
