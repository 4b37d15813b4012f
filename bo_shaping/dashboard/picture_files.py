"""Pictures as files: PNG, SVG for light and for dark pages, and the numbers as CSV. Drawn once, then remembered."""

import io
import threading
from collections import OrderedDict
from typing import Literal

import matplotlib as mpl
from matplotlib.figure import Figure

from bo_shaping.dashboard.pictures import PICTURES, TRIAL_PICTURES
from bo_shaping.dashboard.study_view import StudyView
from bo_shaping.dashboard.tables import csv_text
from bo_shaping.views.report.style import FAINT, INK, MUTED, RULE, png_bytes

Kind = Literal["png", "svg", "dark.svg", "csv"]
KINDS: dict[Kind, str] = {
    "png": "image/png",
    "svg": "image/svg+xml",
    "dark.svg": "image/svg+xml",
    "csv": "text/csv; charset=utf-8",
}
"""Ending of the file -> media type."""

DARK = {
    INK: "#e6e9ee",
    MUTED: "#a3adba",
    FAINT: "#4a525e",
    RULE: "#2b313a",
    "#ffffff": "#171b21",
    "#000000": "#e6e9ee",
}
"""The report's quiet colours on a dark page; colours that mean something stay."""

MOST_BYTES = 48 * 2**20
"""What is remembered of drawn pictures, in all."""


class PictureFiles:
    """Draws pictures, one at a time, and remembers the newest ones."""

    def __init__(self) -> None:
        self._files: OrderedDict[tuple[object, ...], bytes] = OrderedDict()
        self._lock = threading.Lock()
        self._size = 0

    def get(self, view: StudyView, name: str, kind: Kind, version: str, trial: int | None = None) -> bytes:
        """The file of a picture.

        Args:
            view: The study.
            name: One of `PICTURES`, or of `TRIAL_PICTURES` with a trial.
            kind: What it is wanted as.
            version: Changes when the picture may have.
            trial: Index of a trial.
        """
        key = (str(view.folder.path), name, kind, version, trial)
        with self._lock:
            if (known := self._files.get(key)) is not None:
                self._files.move_to_end(key)
                return known
            drawn = picture_file(view, name, kind, trial)
            self._files[key] = drawn
            self._size += len(drawn)
            while self._size > MOST_BYTES and len(self._files) > 1:
                self._size -= len(self._files.popitem(last=False)[1])
            return drawn


def picture_file(view: StudyView, name: str, kind: Kind, trial: int | None = None) -> bytes:
    """One picture as a file, drawn now."""
    picture = PICTURES[name] if trial is None else TRIAL_PICTURES[name]
    index = -1 if trial is None else trial
    if kind == "csv":
        return csv_text(picture.table(view, index)).encode("utf-8")
    figure = picture.draw(view, index)
    if kind == "png":
        return png_bytes(figure)
    svg = svg_text(figure)
    return (darkened(svg) if kind == "dark.svg" else svg).encode("utf-8")


def svg_text(figure: Figure) -> str:
    """The figure as SVG without a background, the same text for the same figure."""
    buffer = io.StringIO()
    with mpl.rc_context({"svg.hashsalt": "bo-shaping"}):
        figure.savefig(buffer, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    return buffer.getvalue()


def darkened(svg: str) -> str:
    """The same picture in the colours of a dark page."""
    for light, dark in DARK.items():
        svg = svg.replace(light, dark)
    # What is black is not said: it is the colour that everything has that names none.
    return svg.replace("<svg ", f'<svg fill="{DARK["#000000"]}" ', 1)
