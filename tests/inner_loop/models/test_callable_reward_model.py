import errno
import json
import socket
import ssl
import urllib.error
import urllib.request
from http.client import IncompleteRead
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread
from types import SimpleNamespace
from weakref import WeakSet

import pytest
import torch

from inner_loop.errors import RewardModelError
from inner_loop.models.callable_reward_model import (
    WAITS,
    CallableRewardModel,
    is_out_of_memory,
    is_passing,
    largest_difference,
)

TEXTS = [f"{'x' * length}" for length in range(8)]
SCORES = [float(length) for length in range(8)]


class Flaky:
    """Scores texts by their lengths once it has failed with these errors; remembers what it was asked."""

    def __init__(self, *errors):
        self.errors, self.asked = list(errors), []

    def __call__(self, texts):
        self.asked.append(texts)
        if self.errors and (error := self.errors.pop(0)) is not None:
            raise error
        return [len(text) for text in texts]


def score(function, texts=TEXTS):
    """The scores, and the seconds waited."""
    waited = []
    return CallableRewardModel(function, sleep=waited.append).score(texts), waited


def test_a_call_that_fails_is_made_again_later_and_for_fewer_texts():
    function = Flaky(ConnectionError("refused"), TimeoutError("slow"))
    assert score(function) == (SCORES, [1.0, 2.0])
    assert [len(texts) for texts in function.asked] == [8, 4, 2, 2, 2, 2]


def test_scores_that_are_there_are_not_asked_for_again():
    function = Flaky(ConnectionError(), None, ConnectionError())
    assert score(function) == (SCORES, [1.0, 1.0])
    answered = [function.asked[index] for index in (1, *range(3, len(function.asked)))]
    assert [text for texts in answered for text in texts] == TEXTS


def test_what_is_too_large_is_halved_at_once():
    def remembers_three(texts):
        if len(texts) > 3:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB")
        return [len(text) for text in texts]

    assert score(remembers_three) == (SCORES, [])


def test_one_text_that_is_left_over_is_not_asked_for_again_without_waiting():
    # 5 texts by 2 leave 1.
    function = Flaky(ConnectionError(), None, None, torch.OutOfMemoryError("CUDA out of memory"))
    assert score(function, TEXTS[:5]) == (SCORES[:5], [1.0, 1.0])


def test_a_rest_that_is_too_large_is_halved_though_it_is_no_full_batch():
    # 22 texts by 5 leave 2.
    out_of_memory = torch.OutOfMemoryError("CUDA out of memory")
    function = Flaky(ConnectionError(), ConnectionError(), None, None, None, None, out_of_memory)
    score(function, ["x"] * 22)
    assert [len(texts) for texts in function.asked] == [22, 11, 5, 5, 5, 5, 2, 1, 1]


def test_the_memory_of_a_call_that_failed_is_free_before_the_next_try(monkeypatch):
    class Activations:
        """What fills the memory."""

    alive, seen = WeakSet(), []
    monkeypatch.setattr(torch.cuda, "empty_cache", lambda: seen.append(len(alive)))

    def fills_the_memory(texts):
        activations = Activations()
        alive.add(activations)
        if len(texts) > 4:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return [len(text) for text in texts]

    assert score(fills_the_memory) == (SCORES, [])
    assert seen == [0]


def test_many_texts_that_fail_are_named_by_their_range():
    texts = ["x"] * 64
    with pytest.raises(RewardModelError, match="could not score texts 0 to 1 of 64, tried 6 times"):
        score(Flaky(*[ConnectionError()] * 10), texts)


def test_an_error_that_lasts_names_the_texts_and_what_becomes_of_the_trial():
    function = Flaky(ConnectionError(), None, *[ConnectionError("connection refused")] * 10)
    message = (
        "could not score text 4 of 8, tried 6 times with 31 seconds of waiting: "
        r"connection refused \(ConnectionError\)\. The trial keeps its checkpoint"
    )
    with pytest.raises(RewardModelError, match=message):
        score(function)


def test_a_single_text_that_is_too_large_is_reported():
    with pytest.raises(RewardModelError, match="text 0 of 8, tried 9 times"):
        score(Flaky(*[MemoryError("no memory")] * 20))


@pytest.mark.parametrize("error", [ValueError("no such model"), KeyError("score"), KeyboardInterrupt()])
def test_any_other_error_is_raised_as_it_is_and_at_once(error):
    function = Flaky(error)
    with pytest.raises(type(error)):
        score(function)
    assert len(function.asked) == 1


def test_no_texts_are_one_call():
    function = Flaky()
    assert score(function, []) == ([], [])
    assert function.asked == [[]]


class RateLimitError(Exception):
    """As clients name it."""


class ClosedSocketError(ConnectionError):
    """As of a web socket, whose codes are no HTTP statuses."""

    code = 1006


class HTTPStatusError(Exception):
    def __init__(self, status):
        super().__init__(f"status {status}")
        self.response = SimpleNamespace(status_code=status)


@pytest.mark.parametrize(
    ("error", "passes"),
    [
        (RateLimitError(), True),
        (HTTPStatusError(503), True),
        (HTTPStatusError(401), False),
        (urllib.error.URLError(ConnectionRefusedError()), True),
        (urllib.error.URLError("unknown url type"), False),
        (urllib.error.URLError(socket.gaierror("Temporary failure in name resolution")), True),
        (urllib.error.URLError(OSError("No route to host")), True),
        (IncompleteRead(b""), True),
        (ClosedSocketError(), True),
        (urllib.error.HTTPError("u", 429, "busy", {}, None), True),
        (urllib.error.HTTPError("u", 404, "none", {}, None), False),
        (OSError("disk"), False),
        (OSError(errno.ENETUNREACH, "Network is unreachable"), True),
        (HTTPStatusError(529), True),
        (urllib.error.URLError(ssl.SSLCertVerificationError("self-signed certificate")), False),
    ],
    ids=str,
)
def test_what_passes_and_what_does_not(error, passes):
    assert is_passing(error) == passes


def test_running_out_of_memory_is_known_by_its_name_or_words():
    assert is_out_of_memory(RuntimeError("CUDA error: out of memory"))
    assert not is_out_of_memory(RuntimeError("CUDA error: device-side assert"))


def test_a_server_that_is_busy_is_waited_for(monkeypatch):
    answers = [503, 503, 200, 200, 200, 200]

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            texts = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            self.send_response(answers.pop(0))
            self.end_headers()
            self.wfile.write(json.dumps([len(text) for text in texts]).encode())

        def log_message(self, *args):
            """Nothing on the terminal."""

    server = HTTPServer(("127.0.0.1", 0), Handler)
    Thread(target=server.serve_forever, daemon=True).start()

    def ask(texts):
        request = urllib.request.Request(f"http://127.0.0.1:{server.server_port}", json.dumps(texts).encode())
        with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310 - the server above
            return json.load(answer)

    try:
        assert score(ask) == (SCORES, list(WAITS[:2]))
    finally:
        server.shutdown()
        server.server_close()


def test_a_function_that_scores_a_text_differently_is_noticed():
    calls = iter(range(100))
    noisy = CallableRewardModel(lambda texts: [len(text) + 0.1 * next(calls) for text in texts])
    assert largest_difference(noisy, TEXTS[:4]) == pytest.approx(0.7)
    by_place = CallableRewardModel(lambda texts: [float(place) for place in range(len(texts))])
    assert largest_difference(by_place, TEXTS[:4]) == 3.0
    rounding = iter([1.0, 1.0 + 1e-6])
    assert largest_difference(CallableRewardModel(lambda texts: [next(rounding)] * len(texts)), TEXTS[:4]) == 0.0
