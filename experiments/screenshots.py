"""Pictures for the documentation, of any folder of studies: the dashboard, the report, and what a terminal shows.

    python -m experiments.screenshots studies docs/images --study quickstart --trial 10

Needs Chromium and the extras `dashboard` and `dev`. The live screen is the study as it was while it ran
(`experiments.moment`). With `--only` come the pictures whose names begin so. They are reduced to 256 colours, so that
they stay small.
"""

import argparse
import shutil
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

from rich.console import Group, RenderableType
from rich.text import Text

from bo_shaping.study import Study
from bo_shaping.views.live import LiveScreen
from bo_shaping.views.report import write_report
from experiments.browser import browser, resize, screenshot, screenshot_of_page, set_scheme
from experiments.moment import moment
from experiments.terminal_pictures import picture_of_terminal, printed

COLOURS = 256
LIGHT, DARK, PHONE, WIDE = "light", "dark", 390, 1200
NARROW_TERMINAL, WIDE_TERMINAL, TERMINAL_LINES = 80, 120, 40

Picture = tuple[str, Callable[..., None]]


def main() -> None:
    """Write the pictures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("studies", type=Path, help="folder of studies")
    parser.add_argument("output", type=Path, help="folder for the pictures")
    parser.add_argument("--study", required=True, help="the study to show")
    parser.add_argument("--trial", type=int, default=0, help="the trial to show")
    parser.add_argument("--other", help="the study to compare it with; without one that page is not pictured")
    parser.add_argument("--ended", type=int, default=5, help="trials that have ended on the live screen")
    parser.add_argument("--only", default="", help="only pictures whose names begin so")
    options = parser.parse_args()
    options.output.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder, browser(WIDE, 900) as driver:
        # Of a copy: a report is written into it, and no picture can hold a path of this machine.
        studies = Path(folder) / "studies"
        shutil.copytree(options.studies, studies)
        for name, take in _pictures(driver, studies, options):
            if name.startswith(options.only):
                _keep(take, options.output / name)


def _pictures(driver: Any, studies: Path, options: argparse.Namespace) -> Iterator[Picture]:
    address = _serve(studies)
    study = f"{address}/study/{options.study}/"
    pages = [
        ("dashboard-studies", f"{address}/", WIDE, LIGHT, 320),
        ("dashboard-study", study, WIDE, LIGHT, 1500),
        ("dashboard-study-dark", study, WIDE, DARK, 1500),
        ("dashboard-study-phone", study, PHONE, LIGHT, 1100),
        ("dashboard-trial", f"{study}trial/{options.trial}/", WIDE, LIGHT, 1700),
    ]
    if options.other:
        pages.append(
            ("dashboard-compare", f"{address}/compare/?study={options.study}&study={options.other}", WIDE, LIGHT, 1300)
        )
    for name, page, width, scheme, most in pages:
        yield name, partial(_page, driver, page, width, scheme, most)
    yield "dashboard-explorer", partial(_explain, driver, f"{address}/explorer/")
    yield "report", partial(_report, driver, studies / options.study)
    for columns in (NARROW_TERMINAL, WIDE_TERMINAL):
        yield f"terminal-live-{columns}", partial(_live, driver, studies, options, columns)
    for command in ("status", "best"):
        words = [command, options.study]
        yield f"terminal-{command}", partial(_printed, driver, words, studies)


def _page(driver: Any, address: str, width: int, scheme: Any, most: int, *, file: Path) -> None:
    set_scheme(driver, scheme)
    screenshot(driver, address, file, width, most=most)


def _report(driver: Any, study: Path, *, file: Path) -> None:
    page = write_report(Study.load(str(study)), study.parent / "report")
    _page(driver, page.as_uri(), WIDE, LIGHT, 1500, file=file)


def _live(driver: Any, studies: Path, options: argparse.Namespace, columns: int, *, file: Path) -> None:
    copy = studies.parent / f"then-{columns}" / options.study
    with moment(studies / options.study, copy, options.ended) as then:
        clock = iter((then.launched,))
        screen = LiveScreen(then.folder, then.folder.config().budget.trials, clock=lambda: next(clock, then.time))
        shown: RenderableType = screen.now(columns, TERMINAL_LINES)
        picture_of_terminal(driver, shown, f"bo-shaping launch {options.study}.yaml", columns, file)


def _printed(driver: Any, words: list[str], studies: Path, *, file: Path) -> None:
    lines = [printed(words, studies, WIDE_TERMINAL)]
    picture_of_terminal(driver, Group(*map(Text.copy, lines)), " ".join(["bo-shaping", *words]), WIDE_TERMINAL, file)


def _serve(studies: Path) -> str:
    """The address of a dashboard that ends with this process."""
    import uvicorn

    from bo_shaping.dashboard.server import make_app
    from bo_shaping.dashboard.shelf import Shelf

    server = uvicorn.Server(uvicorn.Config(make_app(Shelf(studies)), port=0, log_level="error", ws="none"))
    threading.Thread(target=server.run, daemon=True).start()
    while not server.started:
        time.sleep(0.05)
    return f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"


def _explain(driver: Any, address: str, *, file: Path) -> None:
    """Ask the explorer about its example, and picture the answer."""
    set_scheme(driver, LIGHT)
    driver.get(address)
    resize(driver, WIDE, 1500)
    driver.execute_script("document.querySelector('input[value=lime]').checked = true")
    driver.execute_script("document.forms[0].requestSubmit()")
    end = time.monotonic() + 150
    is_answered = "return !!document.querySelector('iframe.paper, .error')"
    while not driver.execute_script(is_answered) and time.monotonic() < end:
        time.sleep(0.5)
    time.sleep(1.0)
    screenshot_of_page(driver, file, WIDE, most=1500)


def _keep(take: Callable[..., None], stem: Path) -> None:
    from PIL import Image

    file = stem.with_suffix(".png")
    take(file=file)
    with Image.open(file) as picture:
        small = picture.convert("RGB").quantize(COLOURS)
    small.save(file, optimize=True)
    print(f"{file} {file.stat().st_size // 1024} kB")


if __name__ == "__main__":
    main()
