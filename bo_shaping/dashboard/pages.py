"""Every page, picture and stream of the dashboard, made from a shelf of studies: for the server and for `--static`."""

import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence

from bo_shaping.dashboard.compare_page import MOST, compare_figure, compare_page, compare_table
from bo_shaping.dashboard.events import Snapshot, version_of
from bo_shaping.dashboard.links import Links
from bo_shaping.dashboard.picture_files import Kind, PictureFiles, darkened, svg_text
from bo_shaping.dashboard.pictures import PICTURES, TRIAL_PICTURES
from bo_shaping.dashboard.shelf import Shelf
from bo_shaping.dashboard.studies_page import row_id, studies_page, study_row
from bo_shaping.dashboard.study_page import study_page, study_parts
from bo_shaping.dashboard.study_view import StudyView
from bo_shaping.dashboard.tables import csv_text
from bo_shaping.dashboard.trial_page import trial_page, trial_parts
from bo_shaping.dashboard.trials_rows import trial_rows
from bo_shaping.dashboard.watched_folder import file_stamp
from bo_shaping.errors import TrialNotFoundError
from bo_shaping.views.report.style import png_bytes
from bo_shaping.views.status import TrialStatus

MOST_VIEWS = 8
"""Studies whose view is remembered as it was last read."""


class Pages:
    """Makes pages, pictures and snapshots; remembers what has not changed."""

    def __init__(self, shelf: Shelf, *, is_static: bool = False) -> None:
        self.shelf = shelf
        self._is_static = is_static
        self._pictures = PictureFiles()
        self._views: OrderedDict[str, tuple[object, StudyView]] = OrderedDict()
        self._snapshots: OrderedDict[str, tuple[object, Snapshot]] = OrderedDict()
        self._lock = threading.RLock()

    # Pages. Each raises `StudyNotFoundError`, `TrialNotFoundError` or, where a file was damaged, `StorageError`.

    def studies(self, query: str = "") -> str:
        """The list of studies."""
        lines = self.shelf.lines()
        return studies_page(
            lines, f"folder {self.shelf.root.name}", self._links(0), query=query, since=version_of(lines)
        )

    def study(self, name: str, only: str = "") -> str:
        """One study."""
        view, since = self.view(name), version_of(self.shelf.folder(name).live_stamp())
        return study_page(view, self._links(2), self.versions(view), only=only, since=since)

    def trial(self, name: str, index: int) -> str:
        """One trial."""
        view = self.view(name)
        trial = _trial_of(view, index)
        since = version_of(self.shelf.folder(name).live_stamp())
        return trial_page(view, trial, self._links(4), self._trial_version(view, index), since=since)

    def compare(self, names: Sequence[str]) -> str:
        """Several studies; those that are not there are left out."""
        return compare_page(self._views_of(names), self._links(1), self.shelf.names())

    # Pictures.

    def picture(self, name: str, picture: str, kind: Kind, trial: int | None = None) -> bytes:
        """A picture of a study or of a trial of it."""
        view = self.view(name)
        if trial is not None:
            _trial_of(view, trial)
            return self._pictures.get(view, picture, kind, self._trial_version(view, trial), trial)
        return self._pictures.get(view, picture, kind, self.versions(view)[picture])

    def compared(self, names: Sequence[str], kind: Kind) -> bytes:
        """The picture of the comparison."""
        views = self._views_of(names)
        if kind == "csv":
            return csv_text(compare_table(views)).encode("utf-8")
        figure = compare_figure(views)
        if kind == "png":
            return png_bytes(figure)
        svg = svg_text(figure)
        return (darkened(svg) if kind == "dark.svg" else svg).encode("utf-8")

    # What changes: stamps, and snapshots of the parts that do.

    def look_at_studies(self) -> tuple[object, Callable[[], Snapshot]]:
        """The list as a stream looks at it."""
        lines = self.shelf.lines()
        links = self._links(0)

        def snapshot() -> Snapshot:
            return Snapshot(rows={row_id(line.name): study_row(line, links) for line in lines}, table="studies")

        return lines, lambda: self._remembered("", lines, snapshot)

    def look_at_study(self, name: str) -> tuple[object, Callable[[], Snapshot]]:
        """A study as a stream looks at it."""
        stamp, links = self.shelf.folder(name).live_stamp(), self._links(2)

        def snapshot() -> Snapshot:
            view = self.view(name)
            return Snapshot(study_parts(view, links), trial_rows(view, links), "trials", self.versions(view))

        return stamp, lambda: self._remembered(f"study {name}", stamp, snapshot)

    def look_at_trial(self, name: str, index: int) -> tuple[object, Callable[[], Snapshot]]:
        """A trial as a stream looks at it."""
        stamp = self.shelf.folder(name).live_stamp()

        def snapshot() -> Snapshot:
            view = self.view(name)
            parts = trial_parts(view, _trial_of(view, index))
            return Snapshot(parts, pictures={"training": self._trial_version(view, index)})

        return stamp, lambda: self._remembered(f"trial {index} {name}", stamp, snapshot)

    def view(self, name: str) -> StudyView:
        """The study as it is now; the same object as long as nothing has changed."""
        folder = self.shelf.folder(name)
        stamp = folder.live_stamp()
        with self._lock:
            known = self._views.pop(name, None)
            if known is None or known[0] != stamp:
                known = (stamp, StudyView.of(folder))
            self._views[name] = known
            while len(self._views) > MOST_VIEWS:
                self._views.popitem(last=False)
            return known[1]

    def versions(self, view: StudyView) -> dict[str, str]:
        """Of the pictures of a study: a new one means that it may look different."""
        still = view.folder.stamp()
        moving = (still, [(index, len(curve)) for index, curve in view.running_curves.items()])
        return {name: version_of(moving if picture.is_live else still) for name, picture in PICTURES.items()}

    def _trial_version(self, view: StudyView, index: int) -> str:
        path = view.folder.trial(index).path
        return version_of((file_stamp(path / "progress.jsonl"), file_stamp(path / "result.json")))

    def _views_of(self, names: Sequence[str]) -> list[StudyView]:
        known = set(self.shelf.names())
        return [self.view(name) for name in dict.fromkeys(names) if name in known][:MOST]

    def _remembered(self, key: str, stamp: object, make: Callable[[], Snapshot]) -> Snapshot:
        with self._lock:
            known = self._snapshots.pop(key, None)
            if known is None or known[0] != stamp:
                known = (stamp, make())
            self._snapshots[key] = known
            while len(self._snapshots) > 2 * MOST_VIEWS:
                self._snapshots.popitem(last=False)
            return known[1]

    def _links(self, depth: int) -> Links:
        return Links(depth, self._is_static)


def _trial_of(view: StudyView, index: int) -> TrialStatus:
    trial = view.trial(index)
    if trial is None:
        raise TrialNotFoundError(f"There is no trial {index} in {view.name}.")
    return trial


PICTURE_NAMES = frozenset(PICTURES)
TRIAL_PICTURE_NAMES = frozenset(TRIAL_PICTURES)
