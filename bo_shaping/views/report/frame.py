"""The frame of every page: one file, no script, nothing from the network."""

from importlib import resources
from importlib.metadata import PackageNotFoundError, version
from string import Template

from bo_shaping.text.escaping import escape
from bo_shaping.views.report.recommendation import TABLE_CSS
from bo_shaping.views.report.theme import theme_css


def html_page(title: str, body: str) -> str:
    """A complete page with our style, under a content security policy that allows inline style and embedded images.

    Args:
        title: Plain text for the browser's tab.
        body: HTML, with every text in it that is not ours escaped.
    """
    return page_template("frame").substitute(
        title=escape(title), body=body, version=escape(_version()), theme=theme_css(":root"), tables=TABLE_CSS
    )


def page_template(name: str) -> Template:
    """The template `name`.html that comes with the package."""
    return Template(resources.files("bo_shaping.views.report").joinpath(f"{name}.html").read_text(encoding="utf-8"))


def _version() -> str:
    try:
        return version("bo-shaping")
    except PackageNotFoundError:
        return "(not installed)"
