"""The files that come with the package: style, script and icon."""

from importlib import resources

ASSETS = {
    "dashboard.css": "text/css; charset=utf-8",
    "dashboard.js": "text/javascript; charset=utf-8",
    "icon.svg": "image/svg+xml",
}
"""Name -> media type."""


def asset(name: str) -> bytes:
    """The content of one of `ASSETS`."""
    return resources.files("bo_shaping.dashboard").joinpath("static", name).read_bytes()
