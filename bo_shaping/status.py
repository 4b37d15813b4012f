"""How a study stands, read from its files: what `status` prints and the live view shows. Needs neither Ax nor torch."""

from dataclasses import asdict, dataclass
from typing import Any, Literal

from bo_shaping.store import StudyFolder, TrialRecord, without_password
from inner_loop.spec import TrialProgress


@dataclass(frozen=True)
class TrialStatus:
    """One trial as seen from outside."""

    record: TrialRecord
    status: Literal["running", "asked", "completed", "failed", "stopped", "interrupted"]
    """`interrupted`: nobody is working on it; `resume` runs it again with the same weights."""
    progress: TrialProgress | None
    """Newest event of a running trial."""
    done: float
    """Share of the inner loop that is finished, over all replicates."""


@dataclass(frozen=True)
class StudyStatus:
    """One study as seen from outside."""

    name: str
    storage: str
    path: str
    driver: str | None
    """Who drives it now, or None."""
    budget: int
    """Trials in all."""
    trials: list[TrialStatus]

    def count(self, status: str) -> int:
        """How many trials have that status."""
        return sum(trial.status == status for trial in self.trials)

    def to_json(self) -> dict[str, Any]:
        """Plain data for `status --json`."""
        trials = []
        for trial in self.trials:
            progress = trial.progress.model_dump(mode="json", exclude={"point"}) if trial.progress else None
            trials.append(trial.record.model_dump(mode="json") | {"status": trial.status, "progress": progress})
        return asdict(self) | {"trials": trials}


def study_status(folder: StudyFolder) -> StudyStatus:
    """Read the status of a study.

    Raises:
        StorageError: If a file of the study was damaged.
    """
    config = folder.config()
    return StudyStatus(
        name=config.name,
        storage=without_password(folder.storage),
        path=str(folder.path),
        driver=folder.driver(),
        budget=config.budget.trials,
        trials=[_trial_status(folder, record) for record in folder.records()],
    )


def _trial_status(folder: StudyFolder, record: TrialRecord) -> TrialStatus:
    if record.status != "running":
        return TrialStatus(record, record.status, None, 1.0)
    trial = folder.trial(record.index)
    event = trial.last_event()
    is_alive = trial.is_locked() or trial.is_done() or folder.driver() is not None
    done = 0.0
    if event is not None:
        done = (event.replicate + event.progress.step / max(event.progress.n_steps, 1)) / event.n_replicates
    return TrialStatus(
        record, "running" if is_alive else "interrupted", event.progress if event is not None else None, done
    )
