"""How a study comes into being, is opened again, and is rebuilt: journal and database made to agree."""

import contextlib
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bo_shaping.config import StudyConfig
from bo_shaping.config.changes import refuse_changes, written
from bo_shaping.errors import StorageError, StudyExistsError
from bo_shaping.generation.strategy import new_experiment
from bo_shaping.storage.database import Database
from bo_shaping.storage.home import Home, refuse_another_home, refuse_taken_name
from bo_shaping.storage.journal import Journal
from bo_shaping.storage.lease_holder import Holder
from bo_shaping.storage.ledger import Ledger, hold, remedy
from bo_shaping.storage.recovery import bring_in_line, entries_of
from bo_shaping.storage.snapshot import write_snapshot
from bo_shaping.storage.study_folder import StudyFolder
from inner_loop.io.atomic_file import write_atomically
from inner_loop.spec import TaskConfig


def with_absolute_folders(config: StudyConfig, known: Mapping[str, Any] | None = None) -> StudyConfig:
    """Folders of the task as absolute paths: a study may be resumed from anywhere.

    Args:
        config: What to look through.
        known: The task as it was written down. What it names stays: a hub name means the same wherever a study is
            resumed.
    """
    absolute, built_in = {}, TaskConfig()
    for field in ("policy", "reward_model", "prompts"):
        name = getattr(config.task, field)
        folder = Path(name).expanduser()
        if name not in (getattr(built_in, field), (known or {}).get(field)) and folder.exists():
            absolute[field] = str(folder.resolve())
    return config.model_copy(update={"task": config.task.model_copy(update=absolute)})


def create(folder: StudyFolder, config: StudyConfig) -> Ledger:
    """Create the study's folder, journal and database; what a launch that was killed has left is cleared away.

    Raises:
        StudyExistsError: If there is such a study, here or in the database.
    """
    folder.path.mkdir(parents=True, exist_ok=True)
    with folder.driver_lock():
        folder.refuse_existing()
        journal = Journal(folder.journal.path, is_tolerant=True)
        _refuse_lost(folder, config, len(journal.entries()) if journal.path.exists() else 0)
        if config.storage is None:
            folder.database_file.unlink(missing_ok=True)
        database = free_database(folder, config)
        folder.journal.path.unlink(missing_ok=True)
        with hold(folder, config, database, has_lock=True):
            folder.journal.append("config", written(config))
            experiment = new_experiment(config)
            database.create(experiment)
            write_snapshot(experiment, folder, config)
            # The configuration comes last: a folder without it is not a study yet, only the rest of a killed launch.
            _write_config(folder, config)
    return Ledger(folder, config, database)


def _refuse_lost(folder: StudyFolder, config: StudyConfig, n_trials: int) -> None:
    """Raise `StudyExistsError` if there are trials, which no launch that was killed half way leaves behind."""
    if n_trials:
        needs = "name" if config.storage is None else "name and storage"
        raise StudyExistsError(
            f"There is a study {config.name!r} already (trials: {n_trials}), which has lost its {folder.config_file}; "
            f"put its configuration there, with {needs}, and go on with: bo-shaping resume {folder.handle} --rebuild, "
            "or choose another name."
        )


def reopen(folder: StudyFolder, config: StudyConfig, allow_change: bool) -> Ledger:
    """The study, going on with this configuration; folders that it names anew are made absolute.

    Raises:
        StudyChangedError: If that differs from the study's in what matters, and no change is allowed.
        StudyExistsError: If the database holds a study of this name that lives in another folder.
        StorageError: If journal or database cannot be read.
    """
    folder.journal.read()
    before = folder.journal.config
    if before is None:
        raise StorageError(f"{folder.journal.path} does not say what the study is; {remedy(folder)}")
    config = with_absolute_folders(config, before.get("task"))
    has_changed = refuse_changes(before, config, allow_change)
    database = open_database(folder, config)
    if config.storage is None and not folder.database_file.exists():
        raise StorageError(f"{folder.database_file} is missing; {remedy(folder)}")
    refuse_another_home(folder, config, database)
    if has_changed:
        # Objective and search space are part of the stored experiment.
        with hold(folder, config, database):
            _write_experiment(folder, config, database)
            folder.journal.append("config", written(config))
    if has_changed or config != folder.config():
        _write_config(folder, config)
    return Ledger(folder, config, database)


def _write_config(folder: StudyFolder, config: StudyConfig) -> None:
    """Write the configuration; nobody may read it who could not before, and a storage URL only its owner."""
    file = folder.config_file
    others = stat.S_IMODE(file.stat().st_mode) & 0o066 if file.exists() else 0o066
    # The URL may carry a password.
    write_atomically(file, config.to_yaml(), 0o600 | (others if config.storage is None else 0))


def rebuild(folder: StudyFolder, config: StudyConfig) -> Ledger:
    """The study with its database written anew from the journal, or the journal from the database.

    Raises:
        StudyExistsError: If the database holds a study of this name that lives in another folder.
        StorageError: If neither can be read.
    """
    folder.refuse_second_driver()
    database = open_database(folder, config)
    refuse_another_home(folder, config, database)
    if _journal_is_whole(folder, config, database):
        if config.storage is None:
            with folder.driver_lock():
                _set_aside(folder.database_file)
            database = open_database(folder, config)
        database.prepare()
        with hold(folder, config, database):
            _write_experiment(folder, config, database)
    else:
        _rebuild_journal(folder, config, database)
    return Ledger(folder, config, database)


def free_database(folder: StudyFolder, config: StudyConfig) -> Database:
    """The study's database, in which there is none of its name.

    Raises:
        StudyExistsError: If there is one, but for what is left of a launch that was killed.
    """
    database = open_database(folder, config)
    database.prepare()
    if database.holds(config.name):
        refuse_taken_name(folder, config.name, database)
        _refuse_lost(folder, config, len(database.load(config.name).trials))
    return database


def move_into_database(folder: StudyFolder, config: StudyConfig) -> None:
    """Let a study of this folder, which has its own database, go on in the configured one.

    A kill on the way leaves it in the one or the other, whole.
    """
    database = open_database(folder, config)
    with hold(folder, config, database):
        _write_experiment(folder, config, database)
        _write_config(folder, config)
    database.close()
    for suffix in ("", "-wal", "-shm"):
        folder.database_file.with_name(folder.database_file.name + suffix).unlink(missing_ok=True)


def _journal_is_whole(folder: StudyFolder, config: StudyConfig, database: Database) -> bool:
    """Whether the journal can be read and knows all trials of the database, if that can be read."""
    try:
        entries = folder.journal.entries()
    except StorageError:
        return False
    if folder.journal.config is None:
        return False
    refuse_changes(folder.journal.config, config, allow_change=False)
    with contextlib.suppress(StorageError):
        if config.storage is not None or folder.database_file.exists():
            return database.load(config.name).trials.keys() <= entries.keys()
    return True


def open_database(folder: StudyFolder, config: StudyConfig) -> Database:
    """The study's database, whether it is there or not."""
    return Database(config.storage or f"sqlite:///{folder.database_file}", remedy(folder))


def _write_experiment(folder: StudyFolder, config: StudyConfig, database: Database) -> None:
    experiment = new_experiment(config)
    bring_in_line(experiment, folder.journal.entries())
    database.create(experiment)
    write_snapshot(experiment, folder, config)


def _rebuild_journal(folder: StudyFolder, config: StudyConfig, database: Database) -> None:
    if config.storage is None and not folder.database_file.exists():
        raise StorageError(f"Study {folder.path.name!r} has lost both its journal and its database.")
    experiment = database.load(config.name)
    path = folder.journal.path
    known, new = Journal(path, is_tolerant=True), Journal(path.with_name(f"{path.name}.new"))
    salvaged = known.entries() if path.exists() else {}
    lease = database.lease(config.name, Home.here(folder.path).to_text(), "")
    with folder.driver_lock(), lease.held(known.last_fence) as fence:
        new.path.unlink(missing_ok=True)
        new.open(fence, str(Holder.me()))
        new.append("config", written(config))
        for entry in entries_of(experiment, salvaged):
            new.write(entry)
        _set_aside(path)
        new.path.replace(path)


def _set_aside(damaged: Path) -> None:
    """Rename a file, an SQLite one with its own journal, so that nothing is overwritten."""
    attempt, kept = 1, damaged.with_name(f"{damaged.name}.damaged")
    while kept.exists():
        attempt += 1
        kept = damaged.with_name(f"{damaged.name}.damaged{attempt}")
    for suffix in ("", "-wal", "-shm"):
        file = damaged.with_name(damaged.name + suffix)
        if file.exists():
            file.replace(kept.with_name(kept.name + suffix))
