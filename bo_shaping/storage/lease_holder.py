"""Who holds a study: a process, told apart from every other process that ever had its number."""

import json
import os
import socket
from dataclasses import asdict, dataclass
from pathlib import Path

from bo_shaping.storage.process_birth import birth_of


@dataclass(frozen=True)
class Holder:
    """One process. Its number alone says little: numbers are used again, and containers count for themselves."""

    pid: int
    started: str
    """When the process began, in the system's own words."""
    machine: str
    """The space of process numbers: start of the system and namespace."""
    host: str
    """Name of the machine, for people."""

    def __str__(self) -> str:
        return f"process {self.pid} on {self.host}"

    @classmethod
    def me(cls) -> "Holder":
        """This process."""
        pid = os.getpid()
        return cls(pid=pid, started=birth_of(pid) or "", machine=_machine(), host=socket.gethostname())

    @classmethod
    def from_json(cls, text: str) -> "Holder | None":
        """The holder that `to_json` wrote, or None if nobody is named."""
        try:
            return cls(**json.loads(text))
        except (ValueError, TypeError):
            return None

    def to_json(self) -> str:
        """One line."""
        return json.dumps(asdict(self))

    def is_dead(self) -> bool:
        """Whether the process has certainly ended; False for one on another machine."""
        return self.machine == _machine() and birth_of(self.pid) != self.started


def _machine() -> str:
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="utf-8").strip()
        return f"{socket.gethostname()} {boot} {Path('/proc/self/ns/pid').readlink()}"
    except OSError:
        return socket.gethostname()
