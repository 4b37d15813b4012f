"""The JSON file of a benchmark: one record per part, with the machine and the versions it was measured on."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Iterable
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any


def save(path: Path, part: str, record: dict[str, Any]) -> None:
    """Put one part's results into the file, whose other parts stay as they are."""
    results = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(one_record_a_line(results | {part: record}) + "\n", encoding="utf-8")


def one_record_a_line(value: Any, indent: str = "") -> str:
    """JSON in which what holds no further records takes one line, so that a changed number is a changed line."""
    parts = list(value.values()) if isinstance(value, dict) else value if isinstance(value, list) else []
    if not any(isinstance(part, dict | list) for part in parts) or indent == 4 * " ":
        return json.dumps(value)
    inner = indent + " "
    if isinstance(value, dict):
        lines = [f"{json.dumps(key)}: {one_record_a_line(part, inner)}" for key, part in value.items()]
    else:
        lines = [one_record_a_line(part, inner) for part in value]
    joined = ",\n".join(inner + line for line in lines)
    return f"{{\n{joined}\n{indent}}}" if isinstance(value, dict) else f"[\n{joined}\n{indent}]"


def environment(versions: dict[str, str]) -> dict[str, Any]:
    """What the numbers depend on besides the code."""
    ours = {name: version(name) for name in ("torch", "transformers", "numpy", "scipy", "scikit-learn")}
    return {"python": platform.python_version(), "cpus": os.cpu_count(), "processor": processor()} | ours | versions


def installed(packages: Iterable[str]) -> dict[str, str]:
    """Versions of those that are installed."""
    versions = {}
    for name in packages:
        with suppress(PackageNotFoundError):
            versions[name] = version(name)
    return versions


def processor() -> str:
    """The processor's name, where the system tells it."""
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    return next(
        (line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), platform.processor()
    )
