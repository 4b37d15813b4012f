"""Heartbeats: a worker counts in a file, and who watches sees the count go up.

Only the watcher's own monotonic clock decides, and only whether the count moves: no two clocks are ever compared, so
that one that jumps, or runs in another machine, raises no alarm.
"""

import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

BEAT_SECONDS = 2.0
"""Time between two beats."""

LOOK_SECONDS = 2 * BEAT_SECONDS
"""The most that one look adds to the time a heartbeat was watched standing still. A watcher that was itself suspended,
or fitted a model for a minute, does not know whether the worker had a chance to beat meanwhile."""


@contextmanager
def beating(file: Path) -> Iterator[None]:
    """Beat in the file, from a thread, for as long as the context is open."""
    began, is_over = time.monotonic(), threading.Event()

    def beat(count: int) -> None:
        # In place and of one width: works on a full disk, and a reader sees some count or other, never none.
        with suppress(OSError):
            descriptor = os.open(file, os.O_WRONLY | os.O_CREAT, 0o644)
            try:
                os.write(descriptor, f"{count:12d} {time.monotonic() - began:14.1f}\n".encode())
            finally:
                os.close(descriptor)

    def go_on() -> None:
        count = 1
        while not is_over.wait(BEAT_SECONDS):
            count += 1
            beat(count)

    beat(1)
    thread = threading.Thread(target=go_on, name="heartbeat", daemon=True)
    thread.start()
    try:
        yield
    finally:
        is_over.set()
        thread.join()


def seconds_so_far(file: Path) -> float:
    """How long the worker had been at it, by its own monotonic clock, when it last beat; 0 if that cannot be read."""
    try:
        return float(file.read_bytes().split()[1])
    except (OSError, ValueError, IndexError):
        return 0.0


@dataclass
class _Watched:
    beat: bytes | None
    looked: float
    """When it was last looked at."""
    still: float = 0.0
    """For how long it was watched standing still."""


class HeartbeatWatch:
    """Tells the heartbeats that have stopped."""

    def __init__(self, stale_after: float) -> None:
        self.stale_after = stale_after
        self._watched: dict[Path, _Watched] = {}

    def is_stale(self, file: Path) -> bool:
        """Whether the file has shown the same count, or been missing, for `stale_after` seconds of watching."""
        now, beat = time.monotonic(), _content(file)
        watched = self._watched.get(file)
        if watched is None or watched.beat != beat:
            self._watched[file] = _Watched(beat, now)
            return False
        watched.still += min(now - watched.looked, LOOK_SECONDS)
        watched.looked = now
        return watched.still >= self.stale_after

    def forget(self, file: Path) -> None:
        """Start anew: somebody else will beat in it."""
        self._watched.pop(file, None)


def _content(file: Path) -> bytes | None:
    try:
        return file.read_bytes()
    except OSError:
        return None
