"""Locks on files that the kernel frees when their process ends, however it ends."""

import fcntl
import os
import time
import weakref
from contextlib import suppress
from pathlib import Path
from typing import IO

_held: "weakref.WeakSet[IO[str] | IO[bytes]]" = weakref.WeakSet()


def _let_go_of_locks() -> None:
    for file in list(_held):
        with suppress(OSError):
            file.close()


# A process that is forked, a data loader's for instance, must not keep the locks of its parent when that is killed.
os.register_at_fork(after_in_child=_let_go_of_locks)


def keep_from_children(file: IO[str] | IO[bytes]) -> None:
    """Close an open file in every process that this one forks: a lock lives as long as anybody has its file open."""
    _held.add(file)


_ATTEMPTS, _PAUSE_SECONDS = 10, 0.02


def try_hold(file: IO[str] | IO[bytes], attempts: int = _ATTEMPTS) -> bool:
    """Lock an open file for as long as it is open; False if another process holds it.

    Somebody who only asks (`is_held`) has the lock for an instant too, so one refusal means nothing.
    """
    for attempt in range(attempts):
        if attempt:
            time.sleep(_PAUSE_SECONDS)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            continue
        keep_from_children(file)
        return True
    return False


def is_held(path: Path) -> bool:
    """Whether a living process holds the lock on a file."""
    try:
        with path.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except BlockingIOError:
        return True
    return False
