import json
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from bo_shaping.storage.process_birth import birth_of
from bo_shaping.storage.trial_folder import Job, TrialFolder
from inner_loop.spec import TrialSpec
from tests.bo_shaping.executors import held

LONG = 300.0
"""Seconds that nothing here takes, on the slowest of machines."""


def wait_for(condition: Callable[[], object], seconds: float = LONG) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "timed out"
        time.sleep(0.02)


def starts(folder: TrialFolder) -> list[dict]:
    """What the inner loop noted each time that it began."""
    file = folder.path / "starts.jsonl"
    return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []


def is_gone(pid: int) -> bool:
    return birth_of(pid) is None


def hold(folder: TrialFolder) -> None:
    (folder.path / "hold").touch()


def let_go(folder: TrialFolder) -> None:
    (folder.path / "hold").unlink()


@pytest.fixture
def make_trial(tmp_path: Path) -> Callable[..., TrialFolder]:
    """Trial folders of one study, ready to be started."""

    def make(function: str = "run_while_held", index: int = 0, *, seed: int = 0) -> TrialFolder:
        folder = TrialFolder(tmp_path / "study" / "trials" / f"{index:04d}")
        spec = TrialSpec(weights={"sparse": 1.0}, seed=seed)
        folder.prepare(Job.of(f"{held.MODULE}:{function}", [spec]))
        return folder

    return make
