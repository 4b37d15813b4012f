"""Where a study lives: a folder with its configuration, one folder per trial, and a lock for the one driver.

Nothing here needs Ax or torch, so that a study can be looked at in an instant. The trial records are the study's own
journal: the Ax experiment can be rebuilt from them.

    studies/NAME/config.yaml            the resolved configuration
                 study.db               the Ax experiment (SQLite), unless `storage` names another database
                 ax_experiment.json     the same, for `ax.api.client.Client.load_from_json_file`
                 best.json              the last recommendation
                 trials/0003/           one folder per trial: `bo_shaping.executors.folder`
"""

import difflib
import os
import re
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

from pydantic import NonNegativeInt, ValidationError

from bo_shaping.config import StudyConfig
from bo_shaping.errors import StorageError, StudyLockedError, StudyNotFoundError
from bo_shaping.executors.folder import TrialFolder, write_atomically
from bo_shaping.locking import is_held, try_hold
from inner_loop.schema import StrictModel

ROOT_VARIABLE = "BO_SHAPING_STUDIES"
"""Environment variable with the folder that holds the studies; `./studies` without it."""


class TrialRecord(StrictModel):
    """What is known of one trial; written after every change of state."""

    index: NonNegativeInt
    status: Literal["running", "asked", "completed", "failed", "stopped"]
    weights: dict[str, float]
    """Mixing weights of the arm."""
    parameters: dict[str, float]
    """Training parameters of the arm."""
    seeds: tuple[int, ...] = (0,)
    """Seeds of its trainings, one per replicate."""
    origin: Literal["design", "random", "model", "recommended", "replicate", "asked", "attached"] = "model"
    """Who chose the arm."""
    attempt: int = 1
    """1, and one more for each time it was started again because its worker had died or hung."""
    measures: dict[str, float] = {}
    """Further measures of the final curve point, means over replicates."""
    step: int | None = None
    """PPO step at which the trial was stopped."""
    mean: float | None = None
    """Final validation reward, the mean over replicates."""
    sem: float | None = None
    """Its standard error: over seeds when the study has replicates, else over validation prompts (and then it does not
    contain the variance between seeds)."""
    kl: float | None = None
    """Final KL to the reference, in nats per response, the mean over replicates."""
    reason: str | None = None
    """Why the trial failed."""
    seconds: float | None = None
    """Wall seconds of the inner loop, summed over replicates."""


class StudyFolder:
    """Paths, records and lock of the study in the folder `path`."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.config_file = path / "config.yaml"
        self.database_file = path / "study.db"
        self.snapshot_file = path / "ax_experiment.json"
        self.best_file = path / "best.json"
        self._lock_file = path / "driver.lock"
        self._trials = path / "trials"

    @property
    def handle(self) -> str:
        """What to type after `bo-shaping resume`: the name where that is enough, else the path."""
        return self.path.name if self.path == (studies_root() / self.path.name).resolve() else str(self.path)

    def config(self) -> StudyConfig:
        """The study's configuration. Raises `ConfigError` if the file was damaged."""
        return StudyConfig.from_yaml(self.config_file)

    @property
    def storage(self) -> str:
        """SQLAlchemy URL of the study's database."""
        return self.config().storage or f"sqlite:///{self.database_file.resolve()}"

    def trial(self, index: int) -> TrialFolder:
        """The folder of trial `index`, whether it exists or not."""
        return TrialFolder(self._trials / f"{index:04d}")

    def records(self) -> list[TrialRecord]:
        """The records of all trials, in the order of their indices.

        Raises:
            StorageError: If a record was damaged.
        """
        records = []
        for file in sorted(self._trials.glob("*/trial.json")):
            try:
                records.append(TrialRecord.model_validate_json(file.read_bytes()))
            except ValidationError:
                raise StorageError(f"The trial record {file} is damaged; restore it, or remove it.") from None
        return sorted(records, key=lambda record: record.index)

    def write_record(self, record: TrialRecord) -> None:
        """Put a record in place of the last one of the same trial."""
        write_atomically(self.trial(record.index).path / "trial.json", record.model_dump_json(indent=1))

    @contextmanager
    def driver_lock(self) -> Iterator[None]:
        """Hold the study for this process; the lock dies with the process, however it ends.

        Raises:
            StudyLockedError: If another process holds it.
        """
        with self._lock_file.open("a+", encoding="utf-8") as file:
            if not try_hold(file):
                raise self._locked_error(self.driver() or "another process")
            file.truncate(0)
            file.write(f"process {os.getpid()} on {socket.gethostname()}")
            file.flush()
            yield

    def refuse_second_driver(self) -> None:
        """Raise `StudyLockedError` if a process drives the study: an early answer, not a promise."""
        driver = self.driver()
        if driver is not None:
            raise self._locked_error(driver)

    def _locked_error(self, driver: str) -> StudyLockedError:
        return StudyLockedError(
            f"Study {self.path.name!r} is being driven by {driver}; stop that process first, or watch it with: "
            f"bo-shaping status {self.handle}"
        )

    def driver(self) -> str | None:
        """Who drives the study now ('process 123 on host'), or None."""
        if not is_held(self._lock_file):
            return None
        return self._lock_file.read_text(encoding="utf-8").strip() or "another process"


def without_password(text: str) -> str:
    """`text` with the password of every URL in it starred out: for everything that is shown or shared.

    >>> without_password("storage: postgresql://me:secret@db/x")
    'storage: postgresql://me:***@db/x'
    """
    return re.sub(r"(\w://[^:/@\s]*:)[^@\s]*@", r"\1***@", text)


def studies_root() -> Path:
    """The folder that holds the studies."""
    return Path(os.environ.get(ROOT_VARIABLE) or "studies")


def find_study(name_or_path: str | Path) -> StudyFolder:
    """The study of that name, in that folder, or behind that storage URL.

    Raises:
        StudyNotFoundError: Naming the studies that are there.
    """
    text, root = str(name_or_path), studies_root()
    known = sorted(path.parent.name for path in root.glob("*/config.yaml"))
    if "://" in text:
        candidates = [root / name for name in known if StudyFolder(root / name).storage == text]
        if len(candidates) > 1:
            raise StudyNotFoundError(
                f"Several studies are in that database: {', '.join(path.name for path in candidates)}; give a name."
            )
    else:
        candidates = [root / text, Path(text)]
    for path in candidates:
        if (path / "config.yaml").is_file():
            return StudyFolder(path.resolve())
    nearest = difflib.get_close_matches(Path(text).name, known, n=1)
    hint = f"did you mean {nearest[0]!r}?" if nearest else f"there are: {', '.join(known) or 'none yet'}."
    raise StudyNotFoundError(f"There is no study {text!r} in {root}; {hint}")
