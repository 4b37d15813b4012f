"""Who holds a study: a process, told apart from every other process that ever had its number."""

import json
import os
import socket
import subprocess
from dataclasses import asdict, dataclass
from pathlib import Path


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
        return cls(pid=pid, started=_started(pid) or "", machine=_machine(), host=socket.gethostname())

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
        return self.machine == _machine() and _started(self.pid) != self.started


def _machine() -> str:
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="utf-8").strip()
        return f"{socket.gethostname()} {boot} {Path('/proc/self/ns/pid').readlink()}"
    except OSError:
        return socket.gethostname()


def _started(pid: int) -> str | None:
    """When a process began; None if there is none, or if only its entry is left."""
    try:
        # After the name, which may hold anything: state first, start time (in ticks since boot) as the 20th.
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
        return None if fields[0] in "ZX" else fields[19]
    except (OSError, IndexError):
        pass
    if Path("/proc/self/stat").exists():
        return None
    command = ["ps", "-o", "lstart=", "-p", str(pid)]
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip() or None  # noqa: S603
