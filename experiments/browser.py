"""Debian's Chromium without a screen: for the browser tests and for screenshots."""

import base64
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

WAIT_SECONDS = 60.0


def find_chromium() -> tuple[str, str] | None:
    """The browser and its driver, or None."""
    program = shutil.which("chromium") or shutil.which("chromium-browser")
    driver = shutil.which("chromedriver")
    return (program, driver) if program and driver else None


@contextmanager
def browser(width: int, height: int, *, scheme: Literal["light", "dark"] = "light") -> Iterator[Any]:
    """A browser whose window is `width x height` pixels, on a system that is light or dark."""
    from selenium import webdriver

    found = find_chromium()
    if found is None:
        raise RuntimeError("Install chromium and chromedriver (Debian: apt install chromium chromium-driver).")
    options = webdriver.ChromeOptions()
    options.binary_location = found[0]
    # As root, in a container, the sandbox of Chromium cannot be set up.
    for argument in ("--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--disable-dev-shm-usage"):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(found[1]))
    try:
        resize(driver, width, height)
        set_scheme(driver, scheme)
        yield driver
    finally:
        driver.quit()


def resize(driver: Any, width: int, height: int) -> None:
    """Give the page another size, down to a phone's, which windows cannot have."""
    size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
    driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)


def set_scheme(driver: Any, scheme: Literal["light", "dark"]) -> None:
    """Let pages believe that the system is light, or dark."""
    features = [{"name": "prefers-color-scheme", "value": scheme}]
    driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})


def screenshot(driver: Any, address: str, file: Path, width: int, *, most: int = 1600) -> None:
    """Write the top of a page, at most `most` pixels of it, once its pictures are there."""
    driver.get(address)
    resize(driver, width, most)
    end = time.monotonic() + WAIT_SECONDS
    script = "return [...document.images].every(i => i.complete || i.getBoundingClientRect().top > arguments[0])"
    while not driver.execute_script(script, most) and time.monotonic() < end:
        time.sleep(0.2)
    screenshot_of_page(driver, file, width, most=most)


def screenshot_of_page(driver: Any, file: Path, width: int, *, most: int = 1600) -> None:
    """The same of the page that is open."""
    height = min(int(driver.execute_script("return document.documentElement.scrollHeight")), most)
    clip = {"x": 0, "y": 0, "width": width, "height": height, "scale": 1}
    shot = driver.execute_cdp_cmd("Page.captureScreenshot", {"clip": clip})
    file.write_bytes(base64.b64decode(shot["data"]))
