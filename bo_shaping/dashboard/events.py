"""What changed since a page was made, as server-sent events: only the parts that are new are sent."""

import asyncio
import hashlib
import json
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field

from starlette.concurrency import run_in_threadpool

from bo_shaping.errors import BoShapingError

POLL_SECONDS = 1.0
"""How often files are looked at; a look that finds nothing new costs a few system calls."""
ALIVE_SECONDS = 15.0
"""A line is sent at least so often, so that a connection that died is noticed."""


@dataclass
class Snapshot:
    """The changing parts of a page at one moment."""

    parts: dict[str, str] = field(default_factory=dict)
    """HTML by the id of the element that it fills."""
    rows: dict[str, str] = field(default_factory=dict)
    """HTML of a table's rows by their ids."""
    table: str = ""
    """Id of the body of that table."""
    pictures: dict[str, str] = field(default_factory=dict)
    """Versions by name."""


Look = Callable[[], tuple[object, Callable[[], Snapshot]]]
"""What is stamped now, and how to make a snapshot of it: the second is only called if the first is new."""


def changes(before: Snapshot | None, now: Snapshot) -> dict[str, object]:
    """What a page that shows `before` has to take in to show `now`; empty if nothing."""
    if before is None:
        before = Snapshot()
    found: dict[str, object] = {}
    for name in ("parts", "rows", "pictures"):
        old, new = getattr(before, name), getattr(now, name)
        if different := {key: value for key, value in new.items() if old.get(key) != value}:
            found[name] = different
    if gone := [key for key in before.rows if key not in now.rows]:
        found["gone"] = gone
    if found and now.table:
        found["table"] = now.table
    return found


async def event_stream(
    look: Look,
    is_over: Callable[[], bool],
    *,
    since: str = "",
    every: float = POLL_SECONDS,
    alive: float = ALIVE_SECONDS,
) -> AsyncIterator[str]:
    """The text of the stream, until `is_over`.

    Something may have happened after the page was made: then the first event brings it up to date as a whole. What
    cannot be read now, a study that is being moved for instance, is looked at again later.

    Args:
        look: What is shown, asked for in a thread.
        is_over: Whether the server is about to end.
        since: `version_of` the stamp that the page was made at.
        every: Seconds between two looks.
        alive: Seconds between two signs of life.
    """
    yield "retry: 3000\n\n"
    shown: Snapshot | None = None
    stamp: object = None
    silent = 0.0
    while not is_over():
        try:
            current, snapshot = await run_in_threadpool(look)
            if shown is None or current != stamp:
                now = await run_in_threadpool(snapshot)
                is_known = shown is None and version_of(current) == since
                if not is_known and (change := changes(shown, now)):
                    yield f"event: change\ndata: {json.dumps(change)}\n\n"
                    silent = 0.0
                shown, stamp = now, current
        except (BoShapingError, OSError):
            pass
        await asyncio.sleep(every)
        silent += every
        if silent >= alive:
            yield ": alive\n\n"
            silent = 0.0


def version_of(stamp: object) -> str:
    """A short text that stands for a stamp in an address."""
    return hashlib.sha256(repr(stamp).encode()).hexdigest()[:12]
