"""Trainings by several processes, one line of JSON each, so that a stopped run continues where it was."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bo_shaping.executors.worker import thread_limits

Run = dict[str, Any]


def read_runs(folder: Path) -> list[Run]:
    """All trainings so far."""
    return [json.loads(line) for file in sorted(folder.glob("*.jsonl")) for line in file.read_text().splitlines()]


def add_run(run: Run, file: Path) -> None:
    """Write down one more training."""
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("a", encoding="utf-8") as out:
        out.write(json.dumps(run) + "\n")


def run_in_parts(module: str, arguments: Sequence[str], jobs: int) -> bool:
    """Start `jobs` processes of a module, each with its `--part`, one thread each; whether all of them ended well."""
    environment = os.environ | thread_limits(1)
    command = [sys.executable, "-m", module, *arguments]
    parts = [subprocess.Popen([*command, "--part", str(part)], env=environment) for part in range(jobs)]
    codes = [part.wait() for part in parts]
    return not any(codes)
