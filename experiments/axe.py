"""axe-core, which checks a page for accessibility: fetched once, in one version, for the tests that look at our pages.

    python -m experiments.axe

puts it into `.axe/`, with npm; `make test` does so. It is Deque's, under the Mozilla Public License 2.0, so it is no
part of this repository. Without it those tests are skipped, and say so.
"""

import base64
import hashlib
import shutil
import subprocess
import sys
import tarfile
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

VERSION = "4.14.1"
SHA512 = "FHfa+lmNjQZfJz1q8wKqIDwC6DExcHt/pkjNQb09a3NPjCKg2rhu5qb2S4r76ASyFNNtuFooJpZe37OgudVGtQ=="
"""Of the archive that npm gives for this version, as the registry states it (`npm view axe-core dist.integrity`)."""
SCRIPT = Path(__file__).parents[1] / ".axe" / f"axe-core-{VERSION}.min.js"
TAGS = ("wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice")
"""What is checked: the Web Content Accessibility Guidelines 2.2 up to level AA, and axe's own advice."""
FETCH_SECONDS = 120.0


@dataclass(frozen=True)
class Violation:
    """One rule that a page breaks, and where."""

    rule: str
    help: str
    places: tuple[str, ...]
    """Of each element: its selector, its source, and what is wrong with it."""

    def __str__(self) -> str:
        return "\n  ".join((f"{self.rule}: {self.help}", *self.places))


def fetch() -> Path:
    """The script, fetched if it is not there yet.

    Raises:
        RuntimeError: If there is no npm, it cannot fetch, or what it gives is not what it should be.
    """
    if SCRIPT.is_file():
        return SCRIPT
    npm = shutil.which("npm")
    if npm is None:
        raise RuntimeError("axe-core is fetched with npm: install Node.js (Debian: apt install npm).")
    with tempfile.TemporaryDirectory() as folder:
        command = [npm, "pack", f"axe-core@{VERSION}", "--silent", "--pack-destination", folder]
        try:
            subprocess.run(command, check=True, capture_output=True, text=True, timeout=FETCH_SECONDS)
        except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as error:
            raise RuntimeError(f"npm cannot fetch axe-core {VERSION}: {_last_line(error.stderr)}") from error
        archive = Path(folder) / f"axe-core-{VERSION}.tgz"
        found = base64.b64encode(hashlib.sha512(archive.read_bytes()).digest()).decode()
        if found != SHA512:
            raise RuntimeError(f"The archive of axe-core {VERSION} has the SHA-512 {found}, not {SHA512}.")
        with tarfile.open(archive) as files:
            member = files.extractfile("package/axe.min.js")
            if member is None:
                raise RuntimeError(f"The archive of axe-core {VERSION} has no axe.min.js.")
            SCRIPT.parent.mkdir(exist_ok=True)
            part = SCRIPT.with_suffix(".part")
            part.write_bytes(member.read())
            part.replace(SCRIPT)
    return SCRIPT


def violations(driver: Any) -> list[Violation]:
    """What the page that is open breaks; frames of other origins are not looked into."""
    driver.execute_script(f"if (!window.axe) {{ {SCRIPT.read_text(encoding='utf-8')} }}")
    found = driver.execute_async_script(_RUN, list(TAGS))
    if isinstance(found, str):
        raise RuntimeError(f"axe-core could not check the page: {found}")
    return [Violation(one["id"], one["help"], tuple(one["places"])) for one in found]


_RUN = """
const [tags, done] = arguments;
axe.run(document, {runOnly: tags, iframes: false, preload: false, resultTypes: ["violations"]}).then(
  found => done(found.violations.map(one => ({id: one.id, help: one.help, places: one.nodes.map(node =>
    node.target.join(" ") + " " + node.html.slice(0, 160) + " -- " + node.failureSummary.replace(/\\s+/g, " "))}))),
  error => done(String(error)));
"""


def _last_line(text: str | bytes | None) -> str:
    words = text.decode(errors="replace") if isinstance(text, bytes) else text or "no message"
    return (words.strip().splitlines() or ["no message"])[-1]


if __name__ == "__main__":
    try:
        print(fetch())
    except RuntimeError as problem:
        sys.exit(str(problem))
