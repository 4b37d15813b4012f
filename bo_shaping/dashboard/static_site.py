"""The pages as files, to be put on any web server or looked at from the disk: `serve --static`."""

from collections.abc import Callable
from pathlib import Path

from bo_shaping.dashboard.assets import ASSETS, asset
from bo_shaping.dashboard.compare_page import MOST
from bo_shaping.dashboard.frame import problem_page
from bo_shaping.dashboard.links import Links
from bo_shaping.dashboard.pages import Pages
from bo_shaping.dashboard.picture_files import KINDS
from bo_shaping.dashboard.pictures import TRIAL_PICTURES, shown_pictures
from bo_shaping.dashboard.shelf import Shelf
from bo_shaping.errors import BoShapingError
from bo_shaping.text.reasons import sentence_of
from inner_loop.io.atomic_file import write_atomically


def write_static(shelf: Shelf, output: Path, say: Callable[[str], object] = lambda line: None) -> Path:
    """Write every page and picture of the studies into a folder; the links between them are relative.

    A study that cannot be read has a page that says so.

    Args:
        shelf: The studies.
        output: The folder; files of an earlier time are replaced, and others stay.
        say: Called with the name of each study that is written.

    Returns:
        The first page.
    """
    pages = Pages(shelf, is_static=True)
    for name in ASSETS:
        _write(output / "static" / name, asset(name))
    index = output / "index.html"
    names, readable = shelf.names(), []
    for name in names:
        say(name)
        try:
            _write_study(pages, name, output / "study" / name)
            readable.append(name)
        except BoShapingError as error:
            page = problem_page(
                "This study cannot be read", shelf.without_place(sentence_of(error)), Links(2, is_static=True)
            )
            _write(output / "study" / name / "index.html", page)
    compared = readable[:MOST]
    _write(output / "compare" / "index.html", pages.compare(compared))
    if len(compared) > 1:
        for kind in KINDS:
            _write(output / "compare" / f"curves.{kind}", pages.compared(compared, kind))
    _write(index, pages.studies())
    return index


def _write_study(pages: Pages, name: str, folder: Path) -> None:
    view = pages.view(name)
    _write(folder / "index.html", pages.study(name))
    for picture in shown_pictures(view):
        for kind in KINDS:
            _write(folder / "picture" / f"{picture}.{kind}", pages.picture(name, picture, kind))
    for trial in view.trials:
        index = trial.record.index
        _write(folder / "trial" / str(index) / "index.html", pages.trial(name, index))
        for picture in TRIAL_PICTURES:
            for kind in KINDS:
                file = folder / "trial" / str(index) / "picture" / f"{picture}.{kind}"
                _write(file, pages.picture(name, picture, kind, index))


def _write(file: Path, content: str | bytes) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    if isinstance(content, bytes):
        file.write_bytes(content)
    else:
        write_atomically(file, content)
