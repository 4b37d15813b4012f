"""Whether locks on files mean something where studies live: some network and FUSE file systems grant them to everybody.

A study tells by them whether its driver and its workers live. So it is tried: one process holds a lock, another
asks for it.
"""

import fcntl
import subprocess
import sys
import tempfile
from pathlib import Path

from bo_shaping.errors import StorageError

_REFUSED, _GRANTED = 3, 4
_ASK = f"""
import fcntl, sys
with open(sys.argv[1], "rb") as file:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        sys.exit({_REFUSED})
sys.exit({_GRANTED})
"""


def refuse_without_locks(folder: Path) -> None:
    """Raise `StorageError` if a lock that one process holds on a file of the folder is granted to another one."""
    problem = what_is_wrong_with_locks(folder)
    if problem is not None:
        raise StorageError(
            f"{problem}: two processes could drive one study, and nobody could tell whether a worker lives. Put the "
            "folder of studies on another file system, with BO_SHAPING_STUDIES=/path/to/folder."
        )


def what_is_wrong_with_locks(folder: Path) -> str | None:
    """Why locks on files of the folder cannot be relied on, or None if they can."""
    try:
        with tempfile.NamedTemporaryFile(dir=folder, prefix=".lock-") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            asked = subprocess.run(  # noqa: S603 - our own program and file
                [sys.executable, "-I", "-S", "-c", _ASK, file.name], capture_output=True, text=True, check=False
            )
    except OSError as error:
        return f"Files in {folder} cannot be locked ({error.strerror or error})"
    if asked.returncode == _GRANTED:
        return f"Locks on files mean nothing in {folder}"
    if asked.returncode != _REFUSED:
        last = (asked.stderr.strip().splitlines() or ["no message"])[-1]
        return f"Files in {folder} cannot be locked by a second process ({last})"
    return None
