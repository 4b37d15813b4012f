"""The trials of a study in its three places: the journal, the Ax experiment, the database, changed in this order.

The journal is the truth. A driver that is killed between two places leaves the others behind, and the next one to
load the study brings them in line. The snapshot for plain Ax is a fourth, derived place: written at most every
`SNAPSHOT_SECONDS` and when a driver ends, since it holds the whole experiment every time.
"""

import contextlib
import os
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from ax.api.client import Client
from ax.core.base_trial import BaseTrial
from ax.core.experiment import Experiment

from bo_shaping.config import StudyConfig
from bo_shaping.config.searched_parameter import Value
from bo_shaping.errors import BoShapingError, ConnectionLostError, StorageError, TooManyFailuresError
from bo_shaping.generation.strategy import new_client, propose
from bo_shaping.libraries.ax_internals import experiment_of
from bo_shaping.memory import trim_heap
from bo_shaping.space.arms import from_arm
from bo_shaping.storage.database import Database
from bo_shaping.storage.home import Home
from bo_shaping.storage.lease_holder import Holder
from bo_shaping.storage.records import Entry, Origin, Status, TrialRecord
from bo_shaping.storage.recovery import ORIGIN, SEEDS, apply, bring_in_line
from bo_shaping.storage.snapshot import Known, write_snapshot
from bo_shaping.storage.study_folder import StudyFolder
from bo_shaping.surrogate.outcomes import curve_observations
from inner_loop.spec import TrialProgress

SNAPSHOT_SECONDS = 30.0
RECONNECT_SECONDS = 30.0
"""How long a driver waits for a database server that went away."""
RETRY_SECONDS = 0.5
_WRITING, _UNKNOWN = -1, -2
"""In place of a position in the journal: while this process may write to it, and after something went wrong then."""


class Ledger:
    """A study's trials, in step in all places."""

    def __init__(self, folder: StudyFolder, config: StudyConfig, database: Database) -> None:
        """Read the study; raises `StorageError` if journal or database cannot be."""
        self.folder = folder
        self.config = config
        self._database = database
        self._snapshot_at = 0.0
        self._known = Known()
        self._snapshot_is_old = _is_older(folder.snapshot_file, folder.journal.path)
        self._reload()

    def _reload(self) -> None:
        entries = self.folder.journal.entries()
        self.client: Client = new_client(self._database.load(self.config.name), self.config.related)
        try:
            self._behind = bring_in_line(self.experiment, entries)
        except StorageError as error:
            raise StorageError(f"{error}; {remedy(self.folder)}") from None
        self._position = self.folder.journal.position

    @property
    def experiment(self) -> Experiment:
        """The Ax experiment."""
        return experiment_of(self.client)

    @property
    def entries(self) -> dict[int, Entry]:
        """All trials as the journal knows them.

        Raises:
            FencedError: If this process drives the study and another one has taken it over: what that one does is not
                this one's to act on.
        """
        entries = self.folder.journal.entries()
        if self._position == _WRITING:
            self.folder.journal.refuse_replaced()
        return entries

    def refresh(self) -> None:
        """Read the study again if another process has written to it; while this one does, there is none."""
        self.folder.journal.entries()
        if self._position not in (_WRITING, self.folder.journal.position):
            self._reload()

    @contextmanager
    def driven(self) -> Iterator[None]:
        """Hold the study for this process, and only now write to it.

        Raises:
            StudyLockedError: If another process holds it.
        """
        with hold(self.folder, self.config, self._database) as position:
            if position != self._position:
                # Another process has driven it since.
                self._reload()
            self._position = _WRITING
            self._snapshot_is_old |= bool(self._behind)
            try:
                self._save(self._behind)
                try:
                    yield
                except (KeyboardInterrupt, TooManyFailuresError):
                    self._snapshot(at_once=True)
                    raise
                self._snapshot(at_once=True)
            except BaseException:
                # Nobody knows how far the places have got: whoever asks next reads them again.
                self._position = _UNKNOWN
                raise
            self._position = self.folder.journal.position

    def entry(self, index: int, error: type[BoShapingError]) -> Entry:
        """One trial; raises an `error` that says which there are, if there is none of that index."""
        entries = self.entries
        if index not in entries:
            there = f"0 to {len(entries) - 1}" if entries else "none yet"
            raise error(f"Study {self.config.name!r} has no trial {index}; there are: {there}.")
        return entries[index]

    def propose(self, status: Status) -> Entry:
        """Choose the next arm and add its trial."""
        index = propose(self.client, self.config)
        trim_heap()
        trial = self.experiment.trials[index]
        seeds, origin = trial.run_metadata[SEEDS], trial.run_metadata[ORIGIN]
        entry = trial_of_arm(index, trial.arm.parameters, status, seeds, origin)
        self.write(entry)
        return entry

    def new_entry(self, arm: Mapping[str, Value], status: Status, origin: Origin) -> Entry:
        """A trial to be added with an arm that somebody chose, which gets the first seeds of the study."""
        seeds = range(self.config.seed, self.config.seed + self.config.noise.replicates)
        return trial_of_arm(len(self.entries), arm, status, seeds, origin)

    def show_curve(self, index: int, events: Sequence[TrialProgress]) -> None:
        """Let the Ax experiment know the learning curve of a running trial; nothing of it is written down."""
        entry = self.entries[index]
        apply(self.experiment, entry.model_copy(update={"data": curve_observations(self.config, events)}))

    def write(self, entry: Entry) -> None:
        """Change one trial, or add one, in all places.

        Raises:
            FencedError: If another process has taken the study over.
            StorageError: If the journal or the database cannot be written. What is in the journal is not lost.
        """
        self.folder.journal.write(entry)
        self._snapshot_is_old = True
        self._save([apply(self.experiment, entry)])
        self._snapshot(at_once=False)

    def _save(self, trials: list[BaseTrial]) -> None:
        deadline = time.monotonic() + RECONNECT_SECONDS
        while trials:
            try:
                self._database.save_trials(self.experiment, trials)
                trials = []
            except ConnectionLostError:
                if time.monotonic() > deadline:
                    raise
                # Nobody knows which part of the save has arrived: start from what the server has.
                self._reload_until(deadline)
                trials = self._behind
        self._behind = []

    def _reload_until(self, deadline: float) -> None:
        while True:
            time.sleep(RETRY_SECONDS)
            try:
                self._reload()
                return
            except ConnectionLostError:
                if time.monotonic() > deadline:
                    raise

    def _snapshot(self, *, at_once: bool) -> None:
        if self._snapshot_is_old and (at_once or time.monotonic() >= self._snapshot_at):
            write_snapshot(self.experiment, self.folder, self.config, self._known)
            self._snapshot_is_old = False
            self._snapshot_at = time.monotonic() + SNAPSHOT_SECONDS
        elif at_once:
            # It says what the journal says, which has a line more: that this process was here.
            with contextlib.suppress(OSError):
                os.utime(self.folder.snapshot_file)


def trial_of_arm(index: int, arm: Mapping[str, Value], status: Status, seeds: Iterable[int], origin: Origin) -> Entry:
    """A trial that has no outcome yet."""
    weights, parameters = from_arm(arm)
    record = TrialRecord(
        index=index, status=status, weights=weights, parameters=parameters, seeds=tuple(seeds), origin=origin
    )
    return Entry(record=record, arm=dict(arm))


def _is_older(file: Path, than: Path) -> bool:
    return not file.exists() or file.stat().st_mtime_ns < than.stat().st_mtime_ns


@contextmanager
def hold(folder: StudyFolder, config: StudyConfig, database: Database, has_lock: bool = False) -> Iterator[int]:
    """Hold a study under lock and lease, the journal open for writing; yields where the journal ended before."""
    if not has_lock:
        folder.refuse_second_driver()
    if folder.journal.path.exists():
        folder.journal.read()
    lease = database.lease(
        config.name, Home.here(folder.path).to_text(), f"stop it with: bo-shaping stop {folder.handle}"
    )
    with (
        lease.held(folder.journal.last_fence, folder.touch_lock) as fence,
        contextlib.nullcontext() if has_lock else folder.driver_lock(take_over=True),
    ):
        yield folder.journal.open(fence, str(Holder.me()))


def remedy(folder: StudyFolder) -> str:
    """What repairs a study whose journal or database was lost."""
    return f"rebuild it with: bo-shaping resume {folder.handle} --rebuild"
