"""A study of a few trials in a simulated world: its driver, its workers, and everybody else who touches its files."""

import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from random import Random
from types import SimpleNamespace
from typing import Any

from bo_shaping.config import StudyConfig
from bo_shaping.errors import StudyLockedError
from bo_shaping.executors import make_executor
from bo_shaping.generation.design import initial_design
from bo_shaping.running.driver import Driver
from bo_shaping.storage.database import Database
from bo_shaping.storage.ledger import Ledger, remedy, trial_of_arm
from bo_shaping.storage.lifecycle import create
from bo_shaping.storage.records import Entry, Status
from bo_shaping.storage.study_folder import StudyFolder
from bo_shaping.views.status import study_status
from inner_loop.spec import TrialProgress, TrialResult, TrialSpec
from tests.bo_shaping.closed_form import result_of, reward
from tests.simulator.world import World, process_that_runs

N_TRIALS = 3
PARALLEL = (1, 2, 3)
RETRIES = 20
"""More than schedules have faults: no trial is given up for them."""

N_PROGRESS = 2
N_LOOKS = 6
N_TRIES, PATIENCE_SECONDS = 8, 5.0


def train(spec: TrialSpec, folder: Path) -> Iterator[TrialProgress]:
    """An inner loop of two events; the world is told when it begins and ends."""
    index, process = int(folder.parent.parent.name), process_that_runs()
    process.world.noticed(f"begins {index}", process)
    for step in range(N_PROGRESS):
        yield TrialProgress(step=step, n_steps=N_PROGRESS)
    process.world.noticed(f"ends {index}", process)
    return outcome(spec)


def outcome(spec: TrialSpec) -> TrialResult:
    """What a trial measures, whoever trains it and when."""
    return result_of(spec, reward(spec.weights, spec.ppo.gae_lambda))


@cache
def study_config(parallel: int) -> StudyConfig:
    """The study that is simulated."""
    return StudyConfig(
        name="study",
        inner_loop=f"{__name__}:train",
        search_space={"components": "papers"},
        budget={"trials": N_TRIALS, "parallel": parallel},
        workers={"retries": RETRIES},
        ppo={"steps": 2},
    )


@cache
def design() -> list[dict[str, float]]:
    """The arms of the study's first trials."""
    return initial_design(study_config(1))[:N_TRIALS]


class PlainLedger(Ledger):
    """A ledger whose only place is the journal: lock, lease and journal are the real ones, Ax and SQL are left out."""

    def _reload(self) -> None:
        self.folder.journal.entries()
        self._behind = []
        self._position = self.folder.journal.position

    @property
    def experiment(self) -> Any:
        return SimpleNamespace(trials=self.entries)

    def propose(self, status: Status) -> Entry:
        index = len(self.entries)
        entry = trial_of_arm(index, design()[index], status, [0], "design")
        self.write(entry)
        return entry

    def write(self, entry: Entry) -> None:
        self.folder.journal.write(entry)
        report(entry)

    def _save(self, trials: list[Any]) -> None:
        pass

    def _snapshot(self, *, at_once: bool) -> None:
        pass


class WholeLedger(Ledger):
    """The real ledger, with the Ax experiment, the database and the snapshot."""

    def write(self, entry: Entry) -> None:
        super().write(entry)
        report(entry)


def report(entry: Entry) -> None:
    """Tell the world what the driver takes as done from now on."""
    process = process_that_runs()
    process.world.noticed(f"reported {entry.record.index} {entry.record.status}", process)


def ledger_of(is_whole: bool) -> type[Ledger]:
    """The real ledger, or the one whose only place is the journal."""
    return WholeLedger if is_whole else PlainLedger


@dataclass(frozen=True)
class Cast:
    """Who is there beside the first driver, and when they come, in seconds."""

    parallel: int
    second_driver: float | None
    readers: tuple[float, ...]
    stops: float | None

    @classmethod
    def drawn(cls, random: Random, has_rival: bool) -> "Cast":
        """Somebody; a second driver if it must be one."""
        return cls(
            parallel=random.choice(PARALLEL),
            second_driver=random.uniform(0, 3) if has_rival or random.random() < 0.2 else None,
            readers=(random.uniform(0, 2),) if random.random() < 0.3 else (),
            stops=random.uniform(0, 3) if random.random() < 0.2 else None,
        )


def make_base(root: Path, parallel: int, *, is_whole: bool = False) -> Path:
    """A study that has just been created: what every simulation begins with a copy of."""
    folder = StudyFolder(root / f"base{parallel}{is_whole}")
    ledger = create(folder, study_config(parallel))
    ledger._database.close()
    if not is_whole:
        folder.snapshot_file.unlink()
    return folder.path


def copy_base(base: Path, root: Path) -> StudyFolder:
    """A fresh study in a world's folder."""
    shutil.copytree(base, root / "study")
    return StudyFolder(root / "study")


def drive(path: Path, parallel: int, ledger_class: type[Ledger]) -> None:
    """What `bo-shaping resume` does, but for its words."""
    folder, config = StudyFolder(path), study_config(parallel)
    database = Database(f"sqlite:///{folder.database_file}", remedy(folder))
    try:
        ledger = ledger_class(folder, config, database)
        with ledger.driven():
            Driver(folder, config, ledger, make_executor(config, folder)).run(N_TRIALS, lambda: None)
    finally:
        database.close()


def drive_in_the_end(path: Path, parallel: int, ledger_class: type[Ledger]) -> None:
    """What a person does who is told that somebody drives the study: tries again after a while."""
    for _ in range(N_TRIES):
        try:
            drive(path, parallel, ledger_class)
        except StudyLockedError:
            time.sleep(PATIENCE_SECONDS)
        else:
            return


def read(path: Path) -> None:
    """What `bo-shaping watch` does: looks again and again."""
    for _ in range(N_LOOKS):
        study_status(StudyFolder(path))
        time.sleep(0.4)


def start_cast(world: World, cast: Cast, path: Path, ledger_class: type[Ledger]) -> None:
    """Everybody begins."""
    world.start("driver", lambda: drive(path, cast.parallel, ledger_class))
    if cast.second_driver is not None:
        world.start("second driver", lambda: drive_in_the_end(path, cast.parallel, ledger_class), cast.second_driver)
    for delay in cast.readers:
        world.start("reader", lambda: read(path), delay)
    if cast.stops is not None:
        world.start("stop", lambda: StudyFolder(path).request_stop(), cast.stops)
