"""Serving the dashboard on a port: where it listens, and what is printed for the person who opens it."""

import socket
from collections.abc import Callable

import uvicorn

from bo_shaping.dashboard.security import is_loopback, new_token
from bo_shaping.dashboard.server import make_app
from bo_shaping.dashboard.shelf import Shelf
from bo_shaping.dashboard.streams import Streams
from bo_shaping.errors import DashboardError
from bo_shaping.text.reasons import reason_of


def serve(shelf: Shelf, host: str, port: int, say: Callable[[str], object], *, token: str | None = None) -> None:
    """Serve until Ctrl-C.

    Args:
        shelf: The studies.
        host: Where to listen. Beyond this machine, only who has the token sees anything.
        port: Which port; 0 takes a free one.
        say: Called with each line for the person at the keyboard.
        token: The token to use; one is made up where the address needs one.

    Raises:
        DashboardError: If the port cannot be had.
    """
    token = token or (None if is_loopback(host) else new_token())
    with _listen(host, port) as listener:
        shown = f"[{host}]" if ":" in host else host
        address = f"http://{shown}:{listener.getsockname()[1]}/" + (f"?token={token}" if token else "")
        say(f"Studies in {shelf.root}: {address}")
        if not is_loopback(host):
            say("The token in the address is the only key, and it is sent unencrypted: use a network that you trust.")
        say("Only read, never written; Ctrl-C ends it.")
        streams = Streams()
        settings = uvicorn.Config(
            make_app(shelf, token=token, streams=streams),
            log_level="warning",
            access_log=False,
            server_header=False,
            timeout_graceful_shutdown=3,
            ws="none",
            limit_concurrency=256,
        )
        _Server(settings, streams).run(sockets=[listener])


class _Server(uvicorn.Server):
    """Ends the streams first, for which it would wait."""

    def __init__(self, config: uvicorn.Config, streams: Streams) -> None:
        super().__init__(config)
        self._streams = streams

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """End everything."""
        self._streams.close()
        await super().shutdown(sockets)


def _listen(host: str, port: int) -> socket.socket:
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        listener = socket.socket(family, socket.SOCK_STREAM)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(128)
    except OSError as error:
        raise DashboardError(
            f"The dashboard cannot listen at {host}, port {port} ({reason_of(error)}); take another one: --port 0"
        ) from None
    return listener
