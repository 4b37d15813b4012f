"""The streams of changes that are open: only so many, and all of them end before the server does."""

import threading
from collections.abc import AsyncIterator

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse

from bo_shaping.dashboard.events import Look, event_stream

MOST_STREAMS = 64
"""Pages that are kept up to date at the same time; further ones show what they had when they were opened."""


class Streams:
    """The streams that are open, of which there are only so many."""

    def __init__(self) -> None:
        self._open = 0
        self._is_over = False
        self._lock = threading.Lock()

    def close(self) -> None:
        """End all of them at their next look."""
        self._is_over = True

    def open(self, request: Request, look: Look) -> Response:
        """A new stream."""
        if self._open >= MOST_STREAMS:
            return PlainTextResponse("Too many pages are open.", 503)
        events = event_stream(look, lambda: self._is_over, since=request.query_params.get("since", ""))

        async def counted() -> AsyncIterator[str]:
            with self._lock:
                self._open += 1
            try:
                async for event in events:
                    yield event
            finally:
                with self._lock:
                    self._open -= 1

        headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
        return StreamingResponse(counted(), media_type="text/event-stream", headers=headers)
