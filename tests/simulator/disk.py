"""What a disk keeps when the power goes: the content of files and the names in folders as they were last synced.

The strictest reading of POSIX: a file that was written and not synced is as it was; a name that was made, moved or
removed in a folder is undone until that folder is synced. An SQLite database is taken as it is: SQLite syncs each of
its transactions.
"""

import os
import shutil
import stat
from contextlib import suppress
from os import fstat, readlink, scandir
from os import stat as real_stat
from pathlib import Path

DATABASE = "study.db"

Kept = dict[str, bytes | None]
"""Content of files by path below the root; None for a folder."""


class Disk:
    """Watches the files below a folder, all of which are safe when it begins to.

    Args:
        root: The folder.
    """

    def __init__(self, root: str) -> None:
        self._root = root
        self._content: dict[int, bytes] = {}
        self._names: dict[int, dict[str, tuple[int, bool]]] = {}
        for folder, _, files in os.walk(root):
            self._sync_folder(folder)
            for name in files:
                path = f"{folder}/{name}"
                self._content[real_stat(path).st_ino] = _read(path)

    def sync(self, descriptor: int) -> None:
        """What the file or folder holds now is safe."""
        status, path = fstat(descriptor), readlink(f"/proc/self/fd/{descriptor}")
        if stat.S_ISDIR(status.st_mode):
            self._sync_folder(path)
        else:
            self._content[status.st_ino] = _read(f"/proc/self/fd/{descriptor}")

    def after_power_cut(self) -> Kept:
        """What would be there after it."""
        kept: Kept = {}
        self._collect("", real_stat(self._root).st_ino, kept)
        return kept

    def _sync_folder(self, folder: str) -> None:
        with scandir(folder) as entries:
            names = {entry.name: (entry.inode(), entry.is_dir()) for entry in entries}
        self._names[real_stat(folder).st_ino] = names

    def _collect(self, folder: str, inode: int, kept: Kept) -> None:
        for name, (number, is_folder) in self._names.get(inode, {}).items():
            path = f"{folder}{name}"
            if is_folder:
                kept[path] = None
                self._collect(f"{path}/", number, kept)
            elif not name.startswith(DATABASE):
                kept[path] = self._content.get(number, b"")
        real = f"{self._root}/{folder}"
        for name in (DATABASE, f"{DATABASE}-wal", f"{DATABASE}-shm"):
            with suppress(FileNotFoundError):
                kept[f"{folder}{name}"] = _read(real + name)


def restore(kept: Kept, root: Path) -> None:
    """Make the folder what the disk has kept."""
    shutil.rmtree(root, ignore_errors=True)
    root.mkdir(parents=True)
    for path, content in kept.items():
        if content is None:
            (root / path).mkdir(parents=True)
        else:
            (root / path).write_bytes(content)


def _read(path: str) -> bytes:
    """The content of a file, whatever world is on."""
    with open(path, "rb") as file:
        return file.read()
