"""What a cell of a notebook shows: HTML in our style, or a picture. Neither needs a network, or runs a script."""

import base64
from dataclasses import dataclass
from typing import Any

from matplotlib.figure import Figure

from bo_shaping.views.report.recommendation import TABLE_CSS
from bo_shaping.views.report.style import png_bytes
from bo_shaping.views.report.theme import theme_css

CSS_PIXELS_PER_INCH = 96

_CSS = f"""
{theme_css(".bs-cell")}
.bs-cell {{ color: var(--bs-ink); background: var(--bs-paper); padding: .8rem 1rem; border-radius: 8px;
  font: 15px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, sans-serif; overflow-wrap: anywhere; }}
.bs-cell.bs-cell h3 {{ margin: 0 0 .4rem; font-size: 1.2rem; line-height: 1.3; color: var(--bs-ink); }}
.bs-cell.bs-cell p, .bs-cell.bs-cell li {{ margin: .25rem 0; color: var(--bs-ink); }}
.bs-cell.bs-cell .bs-muted {{ color: var(--bs-muted); }}
{TABLE_CSS}
"""


@dataclass(frozen=True)
class Shown:
    """HTML that brings its style; it can be read without, too, as in a notebook that nobody has trusted yet."""

    html: str
    """With every text in it that is not ours escaped."""
    text: str
    """What a terminal shows instead."""

    def _repr_html_(self) -> str:
        return f'<style>{_CSS}</style><div class="bs-cell">{self.html}</div>'

    def __repr__(self) -> str:
        """The text."""
        return self.text


@dataclass(frozen=True)
class Picture:
    """A picture, which is shown in any notebook, trusted or not."""

    png: bytes
    width: int
    """In pixels of the page; the file has more, for screens that show them."""
    text: str
    """What it shows, in words."""

    @classmethod
    def of(cls, figure: Figure, text: str) -> "Picture":
        """A figure as its picture."""
        return cls(png_bytes(figure), round(CSS_PIXELS_PER_INCH * figure.get_figwidth()), text)

    def _repr_mimebundle_(self, **_: Any) -> tuple[dict[str, str], dict[str, Any]]:
        data = {"image/png": base64.b64encode(self.png).decode("ascii"), "text/plain": self.text}
        return data, {"image/png": {"width": self.width}}

    def __repr__(self) -> str:
        """The text."""
        return self.text
