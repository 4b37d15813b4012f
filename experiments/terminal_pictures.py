"""Pictures of a terminal: what a command printed, or a live screen, drawn by the browser in a monospaced font."""

import html
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from rich.console import Console, RenderableType
from rich.terminal_theme import TerminalTheme
from rich.text import Text

from experiments.browser import resize, screenshot_of_page

CHARACTER, LINE = 7.85, 18
"""Width and height of a character of the font in pixels."""
COMMAND_SECONDS = 120

# The colours of the dashboard's dark pages: legible on their ground, and apart for colour-blind eyes.
_THEME = TerminalTheme(
    (23, 27, 33),
    (230, 233, 238),
    [(23, 27, 33), (240, 165, 141), (111, 211, 172), (236, 198, 119), (124, 192, 240), (204, 121, 167), (124, 192, 240),
     (230, 233, 238)],
    [(163, 173, 186), (240, 165, 141), (111, 211, 172), (236, 198, 119), (124, 192, 240), (240, 138, 154),
     (140, 200, 242), (255, 255, 255)],
)  # fmt: skip

_PAGE = """<!doctype html><html lang="en"><meta charset="utf-8"><title>terminal</title><style>
body {{ margin: 0; background: #171b21; }}
pre {{ margin: 0; padding: 14px 18px; width: {columns}ch; font: 13px/{line}px "DejaVu Sans Mono", monospace;
  color: #e6e9ee; white-space: pre; }}
b {{ color: #7cc0f0; font-weight: 400; }}
</style><pre><b>$</b> {command}
{code}</pre></html>"""


def printed(command: list[str], studies: Path, columns: int) -> Text:
    """What `bo-shaping ...` prints on a terminal of so many columns, run in the folder above that of the studies."""
    answer = subprocess.run(
        [sys.executable, "-m", "bo_shaping.cli", *command],
        cwd=studies.parent,
        env=os.environ | {"FORCE_COLOR": "1", "COLUMNS": str(columns), "BO_SHAPING_STUDIES": str(studies)},
        capture_output=True,
        text=True,
        timeout=COMMAND_SECONDS,
        check=True,
    )
    return Text.from_ansi(answer.stdout)


def picture_of_terminal(driver: Any, shown: RenderableType, command: str, columns: int, file: Path) -> None:
    """Write the picture.

    Args:
        driver: A browser.
        shown: What stands below the command.
        command: What was typed.
        columns: Of the terminal.
        file: Where to write it, as PNG.
    """
    with open(os.devnull, "w") as nowhere:
        console = Console(
            file=nowhere, width=columns, height=200, record=True, force_terminal=True, color_system="truecolor"
        )
        console.print(shown)
        code = console.export_html(theme=_THEME, code_format="{code}", inline_styles=True)
    page = _PAGE.format(columns=columns, line=LINE, command=html.escape(command), code=code)
    with tempfile.NamedTemporaryFile("w", suffix=".html", encoding="utf-8") as written:
        written.write(page)
        written.flush()
        width = round(columns * CHARACTER) + 36
        resize(driver, width, 200)
        driver.get(Path(written.name).as_uri())
        resize(driver, width, int(driver.execute_script("return document.querySelector('pre').offsetHeight")))
        screenshot_of_page(driver, file, width, most=1600)
