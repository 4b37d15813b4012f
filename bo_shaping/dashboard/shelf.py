"""The studies that the dashboard shows: those in one folder."""

import os
import threading
from dataclasses import replace
from pathlib import Path

from bo_shaping.dashboard.watched_folder import Stamp, WatchedFolder
from bo_shaping.errors import StudyNotFoundError
from bo_shaping.text.hidden_characters import visible_text
from bo_shaping.views.studies_table import StudyLine, study_line

MOST_WATCHED = 1_000
"""Folders that are remembered; beyond it, those that were asked for longest ago are read anew."""


class Shelf:
    """The studies in the folder `root`, found anew at every question: studies come and go."""

    def __init__(self, root: Path) -> None:
        """Raises `StudyNotFoundError` if `root` is no folder, or is a study itself."""
        if not root.is_dir():
            raise StudyNotFoundError(f"There is no folder {root}; name the one that holds the studies.")
        if (root / "config.yaml").is_file():
            raise StudyNotFoundError(f"{root} is a study; name the folder that holds it: {root.resolve().parent}")
        self.root = root.resolve()
        self._watched: dict[str, WatchedFolder] = {}
        self._lines: dict[str, tuple[Stamp, StudyLine]] = {}
        self._lock = threading.RLock()

    def names(self) -> list[str]:
        """The names of the folders, in the order of the alphabet."""
        try:
            with os.scandir(self.root) as entries:
                found = [entry.name for entry in entries if self._is_study(entry.name)]
        except OSError:
            return []
        # A name that is no text cannot stand in an address.
        return sorted(name for name in found if name.encode("utf-8", "ignore").decode() == name)

    def folder(self, name: str) -> WatchedFolder:
        """The study of that name. Raises `StudyNotFoundError`: no name leads out of the folder."""
        with self._lock:
            # A study may be reached by its name alone, so what is no folder right inside the root is none.
            if name in ("", ".", "..") or "/" in name or "\0" in name or not self._is_study(name):
                raise StudyNotFoundError(f"There is no study {visible_text(name)!r} here.")
            folder = self._watched.pop(name, None) or WatchedFolder(self.root / name)
            self._watched[name] = folder
            while len(self._watched) > MOST_WATCHED:
                forgotten = next(iter(self._watched))
                del self._watched[forgotten]
                self._lines.pop(forgotten, None)
            return folder

    def lines(self) -> list[StudyLine]:
        """The studies, the one that changed last first. A damaged one does not hide the others."""
        with self._lock:
            lines = [self._line(name) for name in self.names()]
        return sorted(lines, key=lambda line: (-(line.changed or 0.0), line.name))

    def _line(self, name: str) -> StudyLine:
        folder = self.folder(name)
        stamp, known = folder.stamp(), self._lines.get(name)
        # Whether somebody still works on a trial is seen from its lock alone.
        if known is None or known[0] != stamp or known[1].state in ("running", "interrupted"):
            with folder.lock:
                line = study_line(folder)
                known = (stamp, replace(line, state=self.without_place(line.state)))
            self._lines[name] = known
        return known[1]

    def without_place(self, text: str) -> str:
        """The text without the place of the folder on this machine: pages may be shown to others."""
        return text.replace(f"{self.root}{os.sep}", "")

    def _is_study(self, name: str) -> bool:
        try:
            return (self.root / name / "config.yaml").is_file()
        except OSError:
            return False
