"""The journal of a study: one line per change of state, only ever appended. The study is what its journal says.

    {"crc": "8c736521", "fence": 2, "kind": "trial", "content": {...}}

A line is on the disk (fsync) before the change goes anywhere else, so that a driver that is killed has lost nothing
that it had begun. Every driver carries a fence number, larger than that of the driver before, and says so in its first
line: lines with a smaller number that come later, from a driver that slept through its own replacement, do not count.
A line that a killed driver has begun is never cut off, since whoever cuts may cut off what another one has just
written: the next line is preceded by a mark that cancels it. Nothing here needs Ax, SQL or torch.
"""

import errno
import json
import os
import zlib
from pathlib import Path
from typing import IO, Any, Literal

from pydantic import ValidationError

from bo_shaping.errors import FencedError, StorageError
from bo_shaping.storage.records import Entry
from inner_loop.io.atomic_file import sync_folder

Kind = Literal["opened", "config", "trial"]
"""`opened`: a driver begins. `config`: the configuration in force from here on. `trial`: the new state of a trial."""

CANCELLED = b"\x18\n"
"""End of a line that does not count, because its end was never written. No JSON ends with this character."""


class Journal:
    """The journal in a file; reading again costs only what is new."""

    def __init__(self, path: Path, remedy: str = "", is_tolerant: bool = False) -> None:
        """`remedy` is what a person can do about a damaged journal, for messages; a tolerant one reads over damage."""
        self.path = path
        self._is_tolerant = is_tolerant
        self._remedy = remedy
        self._fence: int | None = None
        self._forget()

    def _forget(self) -> None:
        self._position, self._n_lines = 0, 0
        self._inode: int | None = None
        self._last_fence, self._driver = 0, ""
        self._config: dict[str, Any] | None = None
        self._lines: dict[int, dict[str, Any]] = {}
        self._entries: dict[int, Entry] = {}
        self._in_order: dict[int, Entry] | None = None

    @property
    def position(self) -> int:
        """Bytes read so far: unchanged as long as nothing has happened."""
        return self._position

    @property
    def last_fence(self) -> int:
        """Fence number of the newest driver."""
        return self._last_fence

    @property
    def config(self) -> dict[str, Any] | None:
        """The configuration in force, as it was written down; None before there is one."""
        return self._config

    def entries(self) -> dict[int, Entry]:
        """Every trial's state, in the order of the indices; the same dictionary until something is written.

        Raises:
            StorageError: If the journal was damaged.
        """
        self.read()
        unread = self._lines.keys() - self._entries.keys()
        for index in unread:
            try:
                self._entries[index] = Entry.model_validate(self._lines[index])
            except ValidationError:
                if self._is_tolerant:
                    continue
                raise StorageError(f"{self.path} holds a trial {index} that cannot be read; {self._remedy}") from None
        if unread or self._in_order is None:
            self._in_order = {index: self._entries[index] for index in sorted(self._entries)}
        return self._in_order

    def read(self) -> None:
        """Take in the lines that were added since the last call. A last line without its end does not count yet.

        Raises:
            StorageError: If the file is missing or was damaged.
        """
        try:
            with self.path.open("rb") as file:
                status = os.fstat(file.fileno())
                if status.st_ino != self._inode or status.st_size < self._position:
                    self._forget()
                    self._inode = status.st_ino
                if status.st_size == self._position:
                    return
                file.seek(self._position)
                new = file.read()
        except FileNotFoundError:
            raise StorageError(f"{self.path} is missing; {self._remedy}") from None
        for line in new[: new.rfind(b"\n") + 1].splitlines(keepends=True):
            self._take_in(line)
            self._position += len(line)
            self._n_lines += 1

    def _take_in(self, line: bytes) -> None:
        if line.endswith(CANCELLED):
            return
        try:
            event = json.loads(line)
            crc = event.pop("crc")
            fence, kind, content = event["fence"], event["kind"], event["content"]
        except (ValueError, KeyError, TypeError, AttributeError):
            crc = event = None
        if event is None or crc != _crc(event):
            if self._is_tolerant:
                return
            raise StorageError(f"{self.path} is damaged in line {self._n_lines + 1}; {self._remedy}")
        if fence < self._last_fence:
            return
        self._last_fence = fence
        if kind == "opened":
            self._driver = content["driver"]
        elif kind == "config":
            self._config = content
        elif kind == "trial":
            index = content["record"]["index"]
            self._lines[index] = content
            self._entries.pop(index, None)

    def open(self, fence: int, driver: str) -> int:
        """Begin to write as the driver that holds the study under this fence number.

        Returns:
            `position` before the first line of this driver.

        Raises:
            FencedError: If a driver with a larger number has written already.
        """
        if self.path.exists():
            self.read()
        self._fence, position = fence, self._position
        self.append("opened", {"driver": driver})
        return position

    def append(self, kind: Kind, content: dict[str, Any]) -> None:
        """Write one line down, for good.

        Raises:
            FencedError: If another driver has taken the study over; the line then does not count.
            StorageError: If it could not be written; a part of it that was does not count.
        """
        if self._fence is None and self.path.exists():
            # Written by nobody who drives the study, it counts as the last driver's.
            self.read()
        event = {"fence": self._last_fence if self._fence is None else self._fence, "kind": kind, "content": content}
        line = json.dumps({"crc": _crc(event), **event}, ensure_ascii=False).encode() + b"\n"
        is_new = not self.path.exists()
        try:
            with self.path.open("ab+", buffering=0) as file:
                _write_all(file.fileno(), (CANCELLED if _is_torn(file) else b"") + line)
            if is_new:
                sync_folder(self.path.parent)
        except OSError as error:
            raise StorageError(
                f"{self.path} cannot be written ({error.strerror or error}); nothing is lost: see to the disk, then "
                "resume the study"
            ) from None
        self.check()

    def check(self) -> None:
        """Read on, and raise `FencedError` if another driver has taken the study over from this one."""
        self.read()
        self.refuse_replaced()

    def refuse_replaced(self) -> None:
        """Raise `FencedError` if another driver has taken the study over, as far as was read."""
        if self._fence is not None and self._last_fence > self._fence:
            raise FencedError(
                f"The study was taken over by {self._driver} while this process did not answer; nothing that it did "
                "since then counts."
            )

    def write(self, entry: Entry) -> None:
        """Write down the new state of a trial; see `append`."""
        self.append("trial", entry.model_dump(mode="json", exclude_defaults=True))


def _crc(event: dict[str, Any]) -> str:
    return f"{zlib.crc32(json.dumps(event, sort_keys=True).encode()):08x}"


def _is_torn(file: IO[bytes]) -> bool:
    """Whether the last line has no end."""
    if file.seek(0, os.SEEK_END) == 0:
        return False
    file.seek(-1, os.SEEK_END)
    return file.read(1) != b"\n"


def _write_all(descriptor: int, line: bytes) -> None:
    """Write and flush to the disk; a disk that is full may take a part and say nothing."""
    if os.write(descriptor, line) < len(line):
        # Somebody else may write between two parts of a line.
        again = CANCELLED + line
        if os.write(descriptor, again) < len(again):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    os.fsync(descriptor)
