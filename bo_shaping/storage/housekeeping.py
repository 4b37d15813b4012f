"""Studies as things: copied, renamed, deleted; never one that somebody drives or works for."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bo_shaping.config.changes import written
from bo_shaping.errors import StorageError, StudyLockedError
from bo_shaping.storage.importing import import_study
from bo_shaping.storage.portable import PortableStudy
from bo_shaping.storage.study_folder import StudyFolder

_OF_A_WORKER = ("worker.lock", "worker.json", "heartbeat", "cluster_job")
"""Files of a trial that say who works on it."""


def copy_study(folder: StudyFolder, name: str, root: Path) -> StudyFolder:
    """A study of its own with everything of this one, under another name and with a database of its own.

    Raises:
        StudyLockedError: If somebody drives it or works for it.
        StudyExistsError: If there is anything of that name.
        ConfigError: If that is no name.
    """
    with _at_rest(folder):
        config = folder.config()
        renamed = type(config).from_data({**config.model_dump(mode="json"), "name": name, "storage": None}, (), name)
        # What the trials measured is copied with their folders.
        study = PortableStudy(config=written(config), entries=list(folder.journal.entries().values()))

        def fill(staging: StudyFolder) -> None:
            for entry in study.entries:
                trial = folder.trial(entry.record.index).path
                if trial.is_dir():
                    there = staging.trial(entry.record.index).path
                    shutil.copytree(trial, there, ignore=shutil.ignore_patterns(*_OF_A_WORKER))
            if folder.notes_file.exists():
                shutil.copy(folder.notes_file, staging.notes_file)

        return import_study(study, renamed, root, fill)


def delete_study(folder: StudyFolder) -> None:
    """Remove a study's folder. What a database elsewhere holds of it stays there.

    Raises:
        StudyLockedError: If somebody drives it or works for it.
        StorageError: If it cannot be removed.
    """
    with _at_rest(folder):
        try:
            # Without its configuration it is no study any more, however far this gets.
            folder.config_file.unlink()
            shutil.rmtree(folder.path)
        except OSError as error:
            raise StorageError(f"{folder.path} could not be removed: {error.strerror}; remove what is left.") from None


@contextmanager
def _at_rest(folder: StudyFolder) -> Iterator[None]:
    """Hold the study so that nobody begins to drive it."""
    folder.refuse_second_driver()
    with folder.driver_lock():
        working = [record.index for record in folder.records() if folder.trial(record.index).is_locked()]
        if working:
            raise StudyLockedError(
                f"Processes still work on trials {', '.join(map(str, working))} of {folder.path.name}; let them end "
                f"with: bo-shaping resume {folder.handle} --trials 0"
            )
        yield
