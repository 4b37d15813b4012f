"""Inner loops that a test holds and lets go by a file in the trial folder, so that no clock decides what is running."""

import json
import os
import time
from collections.abc import Iterator
from pathlib import Path

from inner_loop.spec import TrialProgress, TrialSpec
from tests.bo_shaping.closed_form import result_of

MODULE = __name__

_calls = 0


def run_while_held(spec: TrialSpec, *, folder: Path) -> Iterator[TrialProgress]:
    """Notes its process and environment in `starts.jsonl` and ends once there is no file `hold`."""
    global _calls
    _calls += 1
    trial = _trial(folder)
    devices = os.environ.get("CUDA_VISIBLE_DEVICES")
    with (trial / "starts.jsonl").open("a") as file:
        file.write(json.dumps({"pid": os.getpid(), "call": _calls, "devices": devices}) + "\n")
    print("hello from the inner loop", flush=True)  # noqa: T201 - goes to the log
    yield TrialProgress(step=0, n_steps=1)
    while (trial / "hold").exists():
        time.sleep(0.02)
    yield TrialProgress(step=1, n_steps=1)
    return result_of(spec, 1.5)


def run_with_helper(spec: TrialSpec, *, folder: Path) -> Iterator[TrialProgress]:
    """The same with a forked helper, as a data loader has them, that goes on when the worker is killed."""
    trial = _trial(folder)
    if (pid := os.fork()) == 0:
        while (trial / "hold").exists():
            time.sleep(0.02)
        os._exit(0)
    (trial / "helper").write_text(str(pid))
    return (yield from run_while_held(spec, folder=folder))


def fail(spec: TrialSpec) -> Iterator[TrialProgress]:
    yield TrialProgress(step=0, n_steps=1)
    raise ArithmeticError("the policy diverged")


def scribble(spec: TrialSpec, *, folder: Path) -> Iterator[TrialProgress]:
    """Writes garbage wherever the executor reads, and dies with a result that is none."""
    trial = _trial(folder)
    yield TrialProgress(step=0, n_steps=1)
    for name in ("heartbeat", "progress.jsonl", "result.json"):
        (trial / name).write_bytes(b'\xff\x00{"token": [')
    os._exit(0)


def _trial(folder: Path) -> Path:
    return folder.parents[1]
