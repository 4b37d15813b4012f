"""What all pictures of a report share: colours, figures without global state, and bytes to embed."""

import base64
import io
from collections.abc import Sequence

from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

INK = "#1f2733"
MUTED = "#6b7480"
FAINT = "#c3c9d1"
RULE = "#e3e7ec"
ON_BRIGHT, ON_DARK = "#1e2632", "#fefefe"
"""Text on a colour of the map, which stays as it is where a dark page turns ink and ground."""
ACCENT = "#d1495b"
"""The recommendation, and nothing else."""

COLORMAP = "viridis"
"""Reward, wherever it is a colour: uniform for the eye, readable when colour-blind and in grey."""

TRIAL_MARKERS = {
    "trial": ("o", "trial"),
    "over": ("s", "trial over the KL budget"),
    "stopped": ("v", "trial stopped early, as it stood then"),
}
"""Kind of trial -> its marker and what the legend calls it."""

DPI = 170

# Chosen so that any two, and the accent, stay apart for every kind of colour blindness; from the sets of Okabe and Ito
# and of Tol. The sparse reward is the baseline, hence a quiet grey.
_COMPONENT_COLOURS = {"shap": "#0072b2", "lime": "#e69f00", "sparse": "#7a828e"}
_OTHER_COLOURS = ("#009e73", "#882255", "#332288", "#ddcc77", "#b5a6e0")


def component_colours(components: Sequence[str]) -> dict[str, str]:
    """A colour per component; the well-known ones always have the same."""
    others = [name for name in components if name not in _COMPONENT_COLOURS]
    spare = {name: _OTHER_COLOURS[i % len(_OTHER_COLOURS)] for i, name in enumerate(others)}
    return {name: _COMPONENT_COLOURS.get(name) or spare[name] for name in components}


def new_figure(width: float, height: float) -> Figure:
    """An empty figure of `width x height` inches on the Agg canvas: no window, no pyplot, safe in any thread."""
    figure = Figure(figsize=(width, height), facecolor="white")
    # Room for labels that touch the border.
    figure.set_layout_engine("constrained", w_pad=0.09, h_pad=0.06)
    FigureCanvasAgg(figure)
    return figure


def tidy_axes(ax: Axes) -> None:
    """Quiet axes: no box, thin rules, small muted tick labels."""
    for side in ("top", "right"):
        ax.spines[side].set_visible(False)
    for side in ("left", "bottom"):
        ax.spines[side].set_color(FAINT)
    ax.tick_params(colors=MUTED, labelsize=8.5, length=3)
    ax.grid(color=RULE, linewidth=0.8)
    ax.set_axisbelow(True)
    ax.xaxis.label.set(color=INK, fontsize=9.5)
    ax.yaxis.label.set(color=INK, fontsize=9.5)


def say_nothing_yet(message: str) -> Figure:
    """A small figure that says why it is empty."""
    figure = new_figure(5.2, 1.4)
    figure.text(0.5, 0.5, message, ha="center", va="center", color=MUTED, fontsize=9, parse_math=False)
    return figure


def png_bytes(figure: Figure) -> bytes:
    """The figure as a PNG file, the same bytes for the same figure."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=DPI, metadata={"Software": None})
    return buffer.getvalue()


def svg_bytes(figure: Figure) -> bytes:
    """The figure as an SVG file, the same bytes for the same figure; text stays text."""
    buffer = io.BytesIO()
    with rc_context({"svg.hashsalt": "bo-shaping", "svg.fonttype": "none"}):
        figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None})
    return buffer.getvalue()


def data_url(png: bytes) -> str:
    """A PNG file as an address that needs no network."""
    return "data:image/png;base64," + base64.b64encode(png).decode("ascii")
