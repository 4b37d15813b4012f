"""When a process began: with its number, this tells it apart from every process that had the number before."""

import subprocess
from pathlib import Path

_START_FIELD = 19
"""Place of `starttime` in /proc/PID/stat after the name of the program: proc(5)."""


def birth_of(pid: int) -> str | None:
    """When that process began, as the system says it; None if there is none or it has ended."""
    try:
        # After the name, which may hold anything.
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
        return None if fields[0] in "ZX" else fields[_START_FIELD]
    except (OSError, IndexError):
        # Without /proc (macOS), ps knows it to the second.
        return None if Path("/proc/self/stat").exists() else _birth_by_ps(pid)


def _birth_by_ps(pid: int) -> str | None:
    try:
        ps = subprocess.run(  # noqa: S603 - a number is all that varies
            ["/bin/ps", "-o", "lstart=", "-p", str(pid)], capture_output=True, text=True, check=False
        )
    except OSError:
        return "unknown"
    return ps.stdout.strip() or None
