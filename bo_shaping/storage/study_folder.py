"""Where a study lives: a folder with its configuration, one folder per trial, and a lock for the one driver.

Nothing here needs Ax, SQL or torch, so that a study can be looked at in an instant.

    studies/NAME/config.yaml            the resolved configuration
                 journal.jsonl          everything that happened: `bo_shaping.storage.journal`
                 study.db               the Ax experiment (SQLite), unless `storage` names another database
                 ax_experiment.json     the whole study in one file, and for `ax.api.client.Client.load_from_json_file`
                 best.json              the last recommendation
                 components.json        how alike the components pay, on the start policy's first responses
                 notes.txt              what people wrote down: `bo-shaping note`
                 trials/0003/           one folder per trial: `bo_shaping.storage.trial_folder`
"""

import contextlib
import difflib
import os
import socket
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from bo_shaping.config import StudyConfig
from bo_shaping.errors import StorageError, StudyExistsError, StudyLockedError, StudyNotFoundError, TrialResultError
from bo_shaping.storage.file_locks import is_held, try_hold
from bo_shaping.storage.journal import Journal
from bo_shaping.storage.mean_curve import mean_curve
from bo_shaping.storage.records import TrialRecord
from bo_shaping.storage.trial_folder import TrialFolder
from bo_shaping.text.passwords import without_password
from inner_loop.credit_similarity import N_TRIALS, similarity_of_results
from inner_loop.io.atomic_file import write_atomically
from inner_loop.spec import CurvePoint, TrialResult
from inner_loop.spec.credit_similarity import CreditSimilarity

ROOT_VARIABLE = "BO_SHAPING_STUDIES"
"""Environment variable with the folder that holds the studies; `./studies` without it."""


_SIMILARITY = TypeAdapter(CreditSimilarity)

SILENT_SECONDS = 60.0
"""A driver touches its lock every few seconds; after so long without, it may be stopped or lost."""


class StudyFolder:
    """Paths, records and lock of the study in the folder `path`."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.config_file = path / "config.yaml"
        self.database_file = path / "study.db"
        self.snapshot_file = path / "ax_experiment.json"
        self.best_file = path / "best.json"
        self.components_file = path / "components.json"
        self.notes_file = path / "notes.txt"
        self.journal = Journal(path / "journal.jsonl", f"rebuild it with: bo-shaping resume {self.handle} --rebuild")
        self._stop_file = path / "stop"
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
            StorageError: If the journal was damaged.
        """
        return [entry.record for entry in self.journal.entries().values()]

    def results(self, only: Sequence[int] | None = None) -> dict[int, list[TrialResult]]:
        """What the inner loop returned for each completed trial that the study ran, one result per seed.

        With `only`, of those trials. A file that was damaged since then is left out, and `doctor` says so: the journal
        has what the study needs.
        """
        entries, results = self.journal.entries(), {}
        asked_for = entries.keys() if only is None else entries.keys() & set(only)
        for index in sorted(asked_for):
            trial = self.trial(index)
            if entries[index].record.status == "completed" and trial.has_result():
                with contextlib.suppress(TrialResultError):
                    results[index] = trial.results()
        return results

    def curves(self, results: Mapping[int, Sequence[TrialResult]] | None = None) -> dict[int, list[CurvePoint]]:
        """The learning curve of each trial that was completed or stopped, where there is one: the mean over its seeds.

        Args:
            results: What `results` gave, if that was read already.
        """
        results = self.results() if results is None else results
        curves = {index: mean_curve([result.curve for result in seeds]) for index, seeds in results.items()}
        stopped = [record.index for record in self.records() if record.status == "stopped"]
        curves |= {index: self.trial(index).curve() for index in stopped}
        return {index: curve for index, curve in curves.items() if curve}

    def notes(self) -> list[str]:
        """What people wrote down, the oldest first, each with its date."""
        try:
            return self.notes_file.read_text(encoding="utf-8", errors="replace").splitlines()
        except OSError:
            return []

    def add_note(self, text: str) -> None:
        """Write one line down; anybody may, also while somebody drives the study."""
        line = f"{time.strftime('%Y-%m-%d %H:%M')} {' '.join(text.split())}\n"
        with self.notes_file.open("a", encoding="utf-8", errors="replace") as file:
            file.write(line)

    def first_results(self) -> dict[int, list[TrialResult]]:
        """The results of the first completed trials: enough to see how the task is set up."""
        done = [record.index for record in self.records() if record.status == "completed"]
        return self.results(done[:N_TRIALS])

    def credit_similarity(self, results: Mapping[int, Sequence[TrialResult]] | None = None) -> CreditSimilarity | None:
        """How alike the components pay: on the first responses of the start policy, else on those of the first trials.

        None before responses were explained. `results` are those of trials that have been read already.
        """
        components = self.config().search_space.components
        if (at_start := self.similarity_at_start(components)) is not None:
            return at_start
        return similarity_of_results(components, self.first_results() if results is None else results)

    def similarity_at_start(self, components: Sequence[str]) -> CreditSimilarity | None:
        """How alike these components pay on the first responses of the start policy, if a trial has measured that."""
        try:
            kept = _SIMILARITY.validate_json(self.components_file.read_bytes())
        except (OSError, ValidationError):
            return None
        # The components may be others by now.
        return kept if kept.components == list(components) else None

    def keep_similarity(self, trial: TrialFolder, components: Sequence[str]) -> bool:
        """Keep what a trial has measured of these components before its first step; whether the study has it now."""
        if self.similarity_at_start(components) is not None:
            return True
        first = trial.first_event()
        if first is None or first.progress.similarity is None:
            return False
        write_atomically(self.components_file, _SIMILARITY.dump_json(first.progress.similarity).decode())
        return True

    @contextmanager
    def driver_lock(self, take_over: bool = False) -> Iterator[None]:
        """Hold the study for this process; the lock dies with the process, however it ends.

        Args:
            take_over: Take it from a process that holds it but has lost the lease.

        Raises:
            StudyLockedError: If another process holds it.
            StorageError: If the folder cannot be written.
        """
        try:
            file = self._lock_file.open("a+", encoding="utf-8")
        except OSError as error:
            raise StorageError(f"The study's folder {self.path} cannot be written: {error.strerror}.") from None
        if not try_hold(file):
            if not take_over:
                file.close()
                raise self._locked_error(self.driver() or "another process")
            # A process that was stopped keeps its lock, on a file that nobody looks at any more.
            self._lock_file.unlink(missing_ok=True)
            file.close()
            file = self._lock_file.open("a+", encoding="utf-8")
            try_hold(file)
        with file:
            file.truncate(0)
            file.write(f"process {os.getpid()} on {socket.gethostname()}")
            file.flush()
            yield

    def touch_lock(self) -> None:
        """Show that the driver is well."""
        with contextlib.suppress(OSError):
            os.utime(self._lock_file)

    def refuse_second_driver(self) -> None:
        """Raise `StudyLockedError` if a process drives the study: an early answer; the lease has the last word.

        A driver that has not shown itself for `SILENT_SECONDS` is left to the lease.
        """
        driver = self.driver()
        if driver is not None and abs(time.time() - self._lock_file.stat().st_mtime) < SILENT_SECONDS:
            raise self._locked_error(driver)

    def refuse_existing(self) -> None:
        """Raise `StudyExistsError`, with the command that goes on, if there is a study in the folder."""
        if self.config_file.exists():
            raise StudyExistsError(
                f"Study {self.path.name!r} already exists in {self.path}; continue it with: "
                f"bo-shaping resume {self.handle}"
            )

    def _locked_error(self, driver: str) -> StudyLockedError:
        return StudyLockedError(
            f"Study {self.path.name!r} is being driven by {driver}; stop it with: bo-shaping stop {self.handle}, or "
            f"watch it with: bo-shaping watch {self.handle}"
        )

    def driver(self) -> str | None:
        """Who drives the study now ('process 123 on host'), or None."""
        if not is_held(self._lock_file):
            return None
        return self._lock_file.read_text(encoding="utf-8").strip() or "another process"

    def request_stop(self) -> bool:
        """Ask the driver to end as after Ctrl-C; False if there is none."""
        if self.driver() is None:
            return False
        self.journal.read()
        # Addressed to this driver: a later one is not meant.
        write_atomically(self._stop_file, str(self.journal.last_fence))
        return True

    def is_stop_requested(self) -> bool:
        """Whether the driver that has the journal open was asked to end."""
        try:
            return self._stop_file.read_text(encoding="utf-8").strip() == str(self.journal.last_fence)
        except OSError:
            return False


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
    raise StudyNotFoundError(f"There is no study {without_password(text)!r} in {root}; {hint}")
