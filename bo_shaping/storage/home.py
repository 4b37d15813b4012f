"""Which folder, on which machine, a study of a shared database lives in: two machines may have equal paths.

A study that was moved, or whose folder several machines share, has another home than the one written down. It may go
on there, as long as its journal has all that was done. A copy that was left behind may not: it would put the database
back.
"""

import json
import socket
from dataclasses import asdict, dataclass
from pathlib import Path

from bo_shaping.config import StudyConfig
from bo_shaping.errors import StudyExistsError
from bo_shaping.storage.database import Database
from bo_shaping.storage.recovery import bring_in_line
from bo_shaping.storage.study_folder import StudyFolder


@dataclass(frozen=True)
class Home:
    """A folder on a machine."""

    path: str
    host: str
    """Name of the machine; empty where that was not written down."""
    machine: str
    """What the system calls itself, the same after a restart; empty where that is not known."""

    def __str__(self) -> str:
        return f"{self.path} on {self.host}" if self.host else self.path

    @classmethod
    def here(cls, path: Path) -> "Home":
        """A folder of this machine."""
        return cls(str(path), socket.gethostname(), _machine())

    @classmethod
    def from_text(cls, text: str) -> "Home":
        """What `to_text` wrote, or a path alone, as versions up to 0.1 did."""
        try:
            return cls(**json.loads(text))
        except (ValueError, TypeError):
            return cls(text, "", "")

    def to_text(self) -> str:
        """One line."""
        return json.dumps(asdict(self))

    @property
    def is_here(self) -> bool:
        """Whether it is a folder of this machine, as far as is known."""
        return not self.host or (self.host, self.machine) == (socket.gethostname(), _machine())


def refuse_taken_name(folder: StudyFolder, name: str, database: Database) -> None:
    """Raise `StudyExistsError` if the database holds a study of that name that lives elsewhere."""
    text = database.lease(name, "", "").home()
    home = Home.from_text(text or "")
    if not home.is_here or home.path != str(folder.path):
        raise StudyExistsError(
            f"The database already holds a study {name!r}, whose folder is {home if text else 'not known'}; choose "
            "another name."
        )


def refuse_another_home(folder: StudyFolder, config: StudyConfig, database: Database) -> None:
    """Raise `StudyExistsError` if a shared database keeps a study of this name for another folder, which is alive."""
    # A database file in the study's folder is the study's own, also in a copy of the folder.
    name, text = config.name, None if config.storage is None else database.lease(config.name, "", "").home()
    if text is None:
        return
    home = Home.from_text(text)
    if home.is_here:
        if _is_another(Path(home.path), folder.path):
            raise StudyExistsError(
                f"The database already holds a study {name!r}, whose folder is {home}; choose another database "
                f"(storage) for the one in {folder.path} or, if that was moved from there, remove what is left there."
            )
    elif not _has_all(folder, name, database):
        raise StudyExistsError(
            f"Study {name!r} was last driven in {home}, and the folder {folder.path} does not have what was done "
            "there; go on there, or bring the folder from there here."
        )


def _is_another(home: Path, path: Path) -> bool:
    """Whether there is a folder `home`, and it is not `path`: a study that was moved has left none behind."""
    try:
        return home.is_dir() and not home.samefile(path)
    except PermissionError:  # that of another user
        return True


def _has_all(folder: StudyFolder, name: str, database: Database) -> bool:
    """Whether the folder's journal is that of the last driver, or the database holds nothing that it lacks."""
    entries = folder.journal.entries()
    if folder.journal.last_fence >= database.lease(name, "", "").fence():
        return True
    experiment = database.load(name)
    return experiment.trials.keys() <= entries.keys() and not bring_in_line(experiment, entries)


def _machine() -> str:
    try:
        return Path("/etc/machine-id").read_text(encoding="utf-8").strip()
    except OSError:
        return ""
