"""Trainings in processes of their own that take a step when told to, so that contenders can run in turns.

A worker prints lines that start with `@` and go on as JSON: one when it has loaded, one after every `step COUNT` line
it is sent, and a last one when its input ends.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from types import TracebackType
from typing import Any

MARK = "@"
ONE_THREAD = {"OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "passive", "GOMP_SPINCOUNT": "0"}
TRL_SCRIPT = Path(__file__).with_name("trl_job.py")
TRL_VERSION = "1.9.2"


class ContenderError(RuntimeError):
    """A process of the benchmark that cannot do its work."""


class Contender(AbstractContextManager["Contender"]):
    """A training in its own process, on one thread and, unless it is to have one, without a GPU.

    Args:
        command: Starts the worker.
        log: Where everything that is no record goes, errors included.
        device: `cpu` or `cuda`.

    Raises:
        ContenderError: If the worker ends before it has loaded.
    """

    def __init__(self, command: Sequence[str], log: Path, *, device: str = "cpu") -> None:
        self._log = log
        with log.open("w") as errors:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
                env=environment(device),
            )
        self.ready = self.record()

    def send(self, count: int = 1) -> None:
        """Let it take `count` steps; `record` waits for them."""
        assert self._process.stdin is not None  # noqa: S101  it is a pipe
        self._process.stdin.write(f"step {count}\n")
        self._process.stdin.flush()

    def record(self) -> dict[str, Any]:
        """The next record."""
        assert self._process.stdout is not None  # noqa: S101  it is a pipe
        for line in self._process.stdout:
            if line.startswith(MARK):
                record: dict[str, Any] = json.loads(line.removeprefix(MARK))
                return record
        code = self._process.wait()
        tail = "\n".join(self._log.read_text().splitlines()[-5:])
        raise ContenderError(f"A worker ended with code {code}:\n{tail}")

    def step(self, count: int = 1) -> dict[str, Any]:
        """Take `count` steps: `cpu_seconds`, `wall_seconds` and `tokens` of all of them."""
        self.send(count)
        return self.record()

    def finish(self) -> dict[str, Any]:
        """End it; its last record has `peak_mb`."""
        assert self._process.stdin is not None  # noqa: S101  it is a pipe
        self._process.stdin.close()
        record = self.record()
        self._process.wait()
        return record

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.kill()  # nothing happens to one that has ended
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            assert pipe is not None  # noqa: S101  it is a pipe
            pipe.close()


def environment(device: str = "cpu") -> dict[str, str]:
    """The environment of a worker."""
    return os.environ | ONE_THREAD | ({"CUDA_VISIBLE_DEVICES": ""} if device == "cpu" else {})


def ours(
    job: Path, precision: str, trainable_layers: int | None = None, *, dense: bool = False, algorithm: str = "ppo"
) -> list[str]:
    """Starts our trainer on a job."""
    layers = [] if trainable_layers is None else ["--trainable-layers", str(trainable_layers)]
    command = [sys.executable, "-m", "experiments.benchmarks.ppo.our_job", str(job), "--precision", precision]
    return [*command, *layers, *(["--dense"] if dense else []), "--algorithm", algorithm]


def trl_grpo(job: Path) -> list[str]:
    """Starts the GRPO of the trl that is installed here on a job."""
    return [sys.executable, "-m", "experiments.benchmarks.ppo.grpo_job", str(job)]


def trl(python: str, job: Path) -> list[str]:
    """Starts trl's trainer on a job."""
    return [python, str(TRL_SCRIPT), str(job)]


def check_trl(python: str) -> None:
    """Find out whether a Python has the trl that the bars are against.

    Raises:
        ContenderError: If it has not.
    """
    command = [python, "-c", "from importlib.metadata import version; print(version('trl'))"]
    try:
        run = subprocess.run(command, capture_output=True, text=True, env=environment())
    except OSError as error:
        raise ContenderError(f"--trl-python {python!r} cannot be started: {error}.") from error
    found = run.stdout.strip()
    if found != TRL_VERSION:
        raise ContenderError(
            f"--trl-python {python!r} has trl {found or 'not'} installed, and the bars are against {TRL_VERSION}."
        )


def serve(
    step: Callable[[], float],
    clock: Callable[[], tuple[float, float]],
    peak_mb: Callable[[], float],
    phases: Callable[[], dict[str, float]] | None = None,
) -> None:
    """The worker's side: answer `step` lines until the input ends.

    Args:
        step: One step; returns the response tokens it sampled.
        clock: CPU and wall seconds so far.
        peak_mb: Largest resident memory so far.
        phases: Wall seconds so far by phase of a step, if they are to be told.
    """
    emit({})
    for line in sys.stdin:
        cpu, wall = clock()
        tokens = sum(step() for _ in range(int(line.split()[1])))
        cpu_after, wall_after = clock()
        record: dict[str, Any] = {"cpu_seconds": cpu_after - cpu, "wall_seconds": wall_after - wall, "tokens": tokens}
        emit(record if phases is None else record | {"phases": phases()})
    emit({"peak_mb": peak_mb()} | peak_of_gpu())


def peak_of_gpu() -> dict[str, float]:
    """The most memory that tensors of this process had on a GPU, in MB; nothing if it used none."""
    torch = sys.modules.get("torch")
    if torch is None or not torch.cuda.is_initialized():
        return {}
    return {"peak_gpu_mb": torch.cuda.max_memory_allocated() / 2**20}


def emit(record: dict[str, Any]) -> None:
    """Print one record."""
    print(MARK + json.dumps(record), flush=True)
