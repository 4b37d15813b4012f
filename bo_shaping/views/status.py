"""How a study stands, read from its files: what `status` prints and the live view shows. Needs neither Ax nor torch."""

from dataclasses import asdict, dataclass
from typing import Any, Literal

from bo_shaping.storage.records import TrialRecord
from bo_shaping.storage.remote_driver import remote_driver
from bo_shaping.storage.study_folder import StudyFolder
from bo_shaping.text.passwords import without_password
from inner_loop.spec import TrialProgress

Status = Literal["running", "completed", "stopped", "failed", "interrupted", "asked"]

STATUSES: tuple[Status, ...] = ("completed", "stopped", "failed", "running", "interrupted", "asked")
"""In the order in which they are counted for a reader."""


@dataclass(frozen=True)
class TrialStatus:
    """One trial as seen from outside."""

    record: TrialRecord
    status: Status
    """`stopped`: ended early because its learning curve fell behind. `interrupted`: nobody is working on it; `resume`
    runs it again with the same weights. `asked`: `ask` gave it away, and `tell` has not come yet."""
    progress: TrialProgress | None
    """Newest event of a running trial."""
    done: float
    """Share of the inner loop that is finished, over all replicates."""

    def to_json(self) -> dict[str, Any]:
        """Plain data: the record, with the status as seen from outside and the last progress."""
        progress = self.progress.model_dump(mode="json", exclude={"point", "similarity"}) if self.progress else None
        return self.record.model_dump(mode="json") | {"status": self.status, "progress": progress}


@dataclass(frozen=True)
class StudyStatus:
    """One study as seen from outside."""

    name: str
    handle: str
    """What to type after `bo-shaping resume`."""
    storage: str
    path: str
    driver: str | None
    """Who drives it now, or None."""
    budget: int
    """Trials in all."""
    reward: str
    """What the study maximises, in words."""
    trials: list[TrialStatus]

    def count(self, status: Status) -> int:
        """How many trials have that status."""
        return sum(trial.status == status for trial in self.trials)

    @property
    def way_on(self) -> str:
        """The command that goes on with trials which nobody drives; empty if there are none."""
        is_left = self.driver is None and (self.count("running") or self.count("interrupted"))
        return f"bo-shaping resume {self.handle}" if is_left else ""

    def standing(self) -> str:
        """How it stands, in one line."""
        counts = ", ".join(f"{n} {word}" for word in STATUSES if (n := self.count(word)))
        driven = f"driven by {self.driver}" if self.driver else "nobody is driving it"
        return f"{self.name}: {counts or 'no trials yet'}, budget {self.budget}; {driven}"

    def headline(self) -> str:
        """How it stands and how to go on, in one line."""
        return f"{self.standing()}; continue with: {self.way_on}" if self.way_on else self.standing()

    def to_json(self) -> dict[str, Any]:
        """Plain data for `status --json`."""
        return asdict(self) | {"trials": [trial.to_json() for trial in self.trials]}


def study_status(folder: StudyFolder) -> StudyStatus:
    """Read the status of a study.

    Raises:
        StorageError: If a file of the study was damaged.
    """
    config = folder.config()
    driver = folder.driver() or remote_driver(config)
    return StudyStatus(
        name=config.name,
        handle=folder.handle,
        storage=without_password(folder.storage),
        path=str(folder.path),
        driver=driver,
        budget=config.budget.trials,
        reward=config.objective.reward_in_words,
        trials=[_trial_status(folder, record, driver is not None) for record in folder.records()],
    )


def _trial_status(folder: StudyFolder, record: TrialRecord, is_driven: bool) -> TrialStatus:
    if record.status != "running":
        return TrialStatus(record, record.status, None, 0.0 if record.status == "asked" else 1.0)
    trial = folder.trial(record.index)
    event = trial.last_event()
    is_alive = is_driven or trial.is_locked() or trial.is_done()
    done = 0.0
    if event is not None:
        done = (event.replicate + event.progress.step / max(event.progress.n_steps, 1)) / event.n_replicates
    return TrialStatus(
        record, "running" if is_alive else "interrupted", event.progress if event is not None else None, done
    )
