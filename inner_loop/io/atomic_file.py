"""Files that are replaced in one step: a reader, or a crash, sees the old content or the new, never a part."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4


@contextmanager
def replacing(path: Path, mode: int = 0o666) -> Iterator[Path]:
    """A file beside `path` to write, which is on the disk and takes its place at the end; what raises leaves none.

    Who may read it is `mode`, less what the process's umask takes away.
    """
    make_folder(path.parent)
    # Two hosts that share the folder may have processes of one number.
    temporary = path.with_name(f".{path.name}.{os.getpid()}.{uuid4().hex[:8]}")
    try:
        temporary.touch(mode)
        allowed = temporary.stat().st_mode  # some libraries write files that only their owner can read
        yield temporary
        temporary.chmod(allowed)
        with temporary.open("rb") as file:
            os.fsync(file.fileno())
        temporary.replace(path)
        sync_folder(path.parent)
    finally:
        temporary.unlink(missing_ok=True)


def make_folder(path: Path) -> None:
    """Make a folder and those above it, where they are missing, so that they outlast a power cut."""
    missing = [folder for folder in (path, *path.parents) if not folder.is_dir()]
    path.mkdir(parents=True, exist_ok=True)
    for folder in missing:
        sync_folder(folder.parent)


def sync_folder(path: Path) -> None:
    """Let the names in a folder reach the disk: without it, a power cut may undo a rename."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_atomically(path: Path, content: str | bytes, mode: int = 0o666) -> None:
    """Write a file as `replacing` does; text in UTF-8."""
    with replacing(path, mode) as temporary:
        temporary.write_bytes(content.encode("utf-8") if isinstance(content, str) else content)
