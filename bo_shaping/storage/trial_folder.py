"""The folder of one trial: the only channel between the driver and whoever runs the trial.

spec.json       the job, written before the trial starts
progress.jsonl  one event a line, while it runs
result.json     written once, at the end; or
failed.json     why there is no result
worker.json     who runs it; worker.lock is locked for as long as that process lives
heartbeat       a counter that goes up while somebody works on it: `bo_shaping.executors.heartbeat`
cluster_job     which job of the cluster runs it, where there is one
worker.log      everything the inner loop printed, tracebacks included
policy/         the trained policy, where the job asks for it
"""

import contextlib
import hashlib
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Self, TypeVar

from pydantic import NonNegativeInt, PositiveInt, ValidationError

from bo_shaping.errors import TrialResultError
from bo_shaping.storage.file_locks import is_held, try_hold
from bo_shaping.text.reasons import reason_of
from inner_loop.io.atomic_file import make_folder, write_atomically
from inner_loop.io.schema import StrictModel, problems_of
from inner_loop.spec import CurvePoint, TrialProgress, TrialResult, TrialSpec

T = TypeVar("T", bound=StrictModel)

TAIL_BYTES = 16_384
"""How much of the end of `progress.jsonl` is read for the last event; an event is far smaller."""


class Job(StrictModel):
    """What one trial has to compute."""

    token: str
    """Hash of everything below: a result that carries another token belongs to another trial."""
    inner_loop: str
    """`module:function`, from `TrialSpec` to a generator of `TrialProgress` that returns a `TrialResult`."""
    specs: list[TrialSpec]
    """One per replicate, run in order."""
    keeps_policy: bool = False
    """Whether the trained policy of the one spec is saved in the folder."""

    @classmethod
    def of(cls, inner_loop: str, specs: list[TrialSpec], *, keeps_policy: bool = False) -> Self:
        """The job with its token."""
        what = [inner_loop, [spec.model_dump(mode="json") for spec in specs], *(["policy"] if keeps_policy else [])]
        token = hashlib.sha256(json.dumps(what, sort_keys=True).encode()).hexdigest()[:32]
        return cls(token=token, inner_loop=inner_loop, specs=specs, keeps_policy=keeps_policy)


class Event(StrictModel):
    """One line of `progress.jsonl`."""

    replicate: NonNegativeInt
    n_replicates: PositiveInt
    progress: TrialProgress


class Worker(StrictModel):
    """Who runs a trial."""

    pid: PositiveInt
    started: float
    """Seconds since the epoch."""
    birth: str | None = None
    """What the system says of the beginning of that process: tells it from a later one of the same number."""
    host: str | None = None
    """Where it runs."""

    def is_same(self, other: "Worker") -> bool:
        """Whether both are the same process."""
        return (self.pid, self.birth, self.host) == (other.pid, other.birth, other.host)


class Outcome(StrictModel):
    """Content of `result.json`."""

    token: str
    results: list[TrialResult]


class Failure(StrictModel):
    """Content of `failed.json`."""

    token: str
    reason: str


class TrialFolder:
    """Typed access to the files of one trial."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.log_file = path / "worker.log"
        self.heartbeat_file = path / "heartbeat"
        self.policy = path / "policy"
        self.cluster_job_file = path / "cluster_job"
        self._job = path / "spec.json"
        self._progress = path / "progress.jsonl"
        self._result = path / "result.json"
        self._failure = path / "failed.json"
        self._worker = path / "worker.json"
        self._lock = path / "worker.lock"

    def prepare(self, job: Job) -> None:
        """Write the job; what an other job left here is removed. Preparing the same job again changes nothing.

        Also when a process does it that was stopped on the way, and wakes after another one has run the job.
        """
        known = _read(Job, self._job)
        if known is not None and known.token == job.token:
            return
        make_folder(self.path)
        if known is not None:
            self._progress.unlink(missing_ok=True)
        for model, file in ((Outcome, self._result), (Failure, self._failure)):
            if file.exists() and getattr(_read(model, file), "token", None) != job.token:
                file.unlink(missing_ok=True)
        write_atomically(self._job, job.model_dump_json())

    def has_job(self) -> bool:
        """Whether the study has prepared a job here: it runs the trial itself."""
        return self._job.exists()

    def has_other_job(self, job: Job) -> bool:
        """Whether another job than this one was written here."""
        known = _read(Job, self._job)
        return known is not None and known.token != job.token

    def job(self) -> Job:
        """The job. Raises `TrialResultError` if the file is missing or was damaged."""
        job = _read(Job, self._job)
        if job is None:
            raise TrialResultError(f"The job {self._job} is missing or damaged.")
        return job

    def is_done(self) -> bool:
        """Whether a result or a failure is there."""
        return self._result.exists() or self._failure.exists()

    def has_result(self) -> bool:
        """Whether a result is there."""
        return self._result.exists()

    def has_failed(self) -> bool:
        """Whether a failure is there."""
        return self._failure.exists()

    def results(self) -> list[TrialResult]:
        """The results, one per replicate, every number of them finite.

        Raises:
            TrialResultError: If they are unreadable, not finite, or belong to another job.
        """
        try:
            outcome = Outcome.model_validate_json(self._result.read_bytes())
        except (OSError, ValidationError) as error:
            raise TrialResultError(f"unusable result {self._result}: {_why(error)}") from None
        job = self.job()
        if outcome.token != job.token or len(outcome.results) != len(job.specs):
            raise TrialResultError(f"unusable result {self._result}: it belongs to another trial")
        return outcome.results

    def failure_reason(self) -> str:
        """Why the trial failed, in one line."""
        failure = _read(Failure, self._failure)
        return failure.reason if failure is not None else "unknown (failed.json is damaged)"

    def events(self) -> list[Event]:
        """All progress events so far; lines that cannot be read, such as one half written, are left out."""
        try:
            lines = self._progress.read_bytes().splitlines()
        except OSError:
            return []
        events = []
        for line in lines:
            with contextlib.suppress(ValidationError):
                events.append(Event.model_validate_json(line))
        return events

    def progress_size(self) -> int:
        """Bytes of progress so far: unchanged as long as there is no new event."""
        try:
            return self._progress.stat().st_size
        except OSError:
            return 0

    def curve(self, replicate: int = 0) -> list[CurvePoint]:
        """The learning curve of one replicate, as far as it went."""
        points = [event.progress.point for event in self.events() if event.replicate == replicate]
        return [point for point in points if point is not None]

    def last_event(self) -> Event | None:
        """The newest progress event, or None before the first."""
        try:
            with self._progress.open("rb") as file:
                file.seek(max(0, file.seek(0, os.SEEK_END) - TAIL_BYTES))
                lines = file.read().splitlines()
        except OSError:
            return None
        # The last line may be half written.
        for line in reversed(lines):
            try:
                return Event.model_validate_json(line)
            except ValidationError:
                continue
        return None

    def first_event(self) -> Event | None:
        """The first progress event; None before there is one."""
        try:
            with self._progress.open("rb") as file:
                return Event.model_validate_json(file.readline())
        except (OSError, ValidationError):
            return None

    def worker(self) -> Worker | None:
        """The process that works on the trial now, or None."""
        return _read(Worker, self._worker) if self.is_locked() else None

    def is_locked(self) -> bool:
        """Whether a living process works on the trial."""
        return is_held(self._lock)

    def forget_heartbeat(self) -> None:
        """Remove the heartbeat of an earlier attempt, so that it is not mistaken for that of a worker that hangs."""
        self.heartbeat_file.unlink(missing_ok=True)

    @contextmanager
    def locked(self, worker: Worker) -> Iterator[bool]:
        """Hold the trial for this process; yields False if another process holds it."""
        with self._lock.open("ab") as file:
            if not try_hold(file):
                yield False
                return
            write_atomically(self._worker, worker.model_dump_json())
            try:
                yield True
            finally:
                # Whoever holds the lock next is not this process, also before it has written down its own name.
                with contextlib.suppress(OSError):
                    self._worker.unlink()

    def forget_ending(self) -> None:
        """Forget that the job has ended, so that it can be run again."""
        for file in (self._result, self._failure):
            file.unlink(missing_ok=True)

    def restart_progress(self) -> None:
        """Forget the events of an earlier attempt."""
        self._progress.write_bytes(b"")

    def append_event(self, event: Event) -> None:
        """Add one progress event."""
        with self._progress.open("a", encoding="utf-8") as file:
            file.write(event.model_dump_json() + "\n")

    def write_results(self, token: str, results: list[TrialResult]) -> None:
        """Hand the results over, in one step."""
        write_atomically(self._result, Outcome(token=token, results=results).model_dump_json())

    def write_failure(self, token: str, reason: str) -> None:
        """Say why there is no result, in one step."""
        write_atomically(self._failure, Failure(token=token, reason=reason).model_dump_json())


def _read(model: type[T], path: Path) -> T | None:
    try:
        return model.model_validate_json(path.read_bytes())
    except (OSError, ValidationError):
        return None


def _why(error: OSError | ValidationError) -> str:
    return problems_of(error)[0] if isinstance(error, ValidationError) else reason_of(error)
