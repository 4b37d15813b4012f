"""Screenshots of the dashboard for the documentation, of any folder of studies.

    python -m experiments.screenshots studies docs/images --study quickstart

Needs Chromium and the extras `dashboard` and `dev`. Pictures are reduced to 256 colours, so that they stay small.
"""

import argparse
import threading
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from experiments.browser import browser, resize, screenshot, screenshot_of_page

COLOURS = 256
LIGHT, DARK, PHONE, WIDE = "light", "dark", 390, 1200


def main() -> None:
    """Write the pictures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("studies", type=Path, help="folder of studies")
    parser.add_argument("output", type=Path, help="folder for the pictures")
    parser.add_argument("--study", required=True, help="the study to show")
    parser.add_argument("--trial", type=int, default=0, help="the trial to show")
    options = parser.parse_args()
    options.output.mkdir(parents=True, exist_ok=True)
    address = _serve(options.studies)
    study = f"{address}/study/{options.study}/"
    pictures = (
        ("dashboard-studies", f"{address}/", WIDE, LIGHT, 520),
        ("dashboard-study", study, WIDE, LIGHT, 1500),
        ("dashboard-study-dark", study, WIDE, DARK, 1500),
        ("dashboard-study-phone", study, PHONE, LIGHT, 1100),
        ("dashboard-trial", f"{study}trial/{options.trial}/", WIDE, LIGHT, 1500),
    )
    for name, page, width, scheme, most in pictures:
        with browser(width, 900, scheme=scheme) as driver:
            _keep(partial(screenshot, driver, page, width=width, most=most), options.output / name)
    with browser(WIDE, 900) as driver:
        _keep(partial(_explain, driver, f"{address}/explorer/"), options.output / "dashboard-explorer")


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


def _explain(driver: Any, address: str, file: Path) -> None:
    """Ask the explorer about its example, and picture the answer."""
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
