"""What the study knows about the best weights: a density and a 90 % interval per component, and per extra parameter.

Of an extra parameter with a few values it is the probability of each.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

from bo_shaping.text.wording import describe_probability, describe_value
from bo_shaping.views.report.style import ACCENT, INK, MUTED, component_colours, new_figure, say_nothing_yet, tidy_axes

if TYPE_CHECKING:
    from bo_shaping.surrogate.recommendation import Best, Surface

# Draws lie on a lattice of twentieths or coarser: bins around its points, never with an edge on one.
_BIN_EDGES = np.linspace(-0.025, 1.025, 22)
_Range = tuple[float, float]


def weights_figure(
    best: "Best | None",
    surface: "Surface | None" = None,
    *,
    bounds: Mapping[str, _Range] | None = None,
) -> Figure:
    """The posterior of the best weights (marginals of the cloud in `simplex_figure`) with 90 % intervals.

    Args:
        best: The recommendation with its intervals; None gives a figure that says so.
        surface: Its draws of best weights become the densities; None draws intervals only.
        bounds: Searched range of the extra parameters, for their axes.
    """
    if best is None:
        return say_nothing_yet("No recommendation yet")
    components, extras = list(best.weights), list(best.parameters)
    figure = new_figure(5.2, 1.0 + 0.85 * len(components) + 0.85 * len(extras))
    heights = [float(len(components))] + [1.0] * len(extras)
    panels = np.atleast_1d(figure.subplots(len(heights), 1, height_ratios=heights))
    _draw_components(panels[0], best, components, surface)
    for ax, name in zip(panels[1:], extras, strict=True):
        if name in best.prob_value:
            _draw_shares(ax, name, describe_value(best.parameters[name], 12), best.prob_value[name])
        else:
            _draw_extra(ax, name, float(best.parameters[name]), best.interval[name], (bounds or {}).get(name))
    return figure


def _draw_components(ax: Axes, best: "Best", components: list[str], surface: "Surface | None") -> None:
    tidy_axes(ax)
    colours = component_colours(components)
    rows = range(len(components))
    for row, name in zip(rows, components, strict=True):
        base = len(components) - 1 - row
        if surface is not None and len(surface.draws):
            density, edges = np.histogram(np.asarray(surface.draws)[:, row], bins=_BIN_EDGES)
            height = 0.55 * density / density.max()
            ax.stairs(base + height, edges, baseline=base, fill=True, color=colours[name], alpha=0.4)
        _draw_interval(ax, base - 0.1, best.weights[name], best.interval[name], colours[name])
    ax.set_yticks([len(components) - 1 - row for row in rows], components)
    ax.tick_params(axis="y", labelsize=10.5, labelcolor=INK, length=0)
    ax.grid(axis="y", visible=False)
    ax.set_xlim(-0.02, 1.02)
    ax.set_ylim(-0.4, len(components) - 0.2)
    ax.set_xlabel("weight in the reward")


def _draw_extra(ax: Axes, name: str, value: float, interval: _Range, bounds: _Range | None) -> None:
    tidy_axes(ax)
    _draw_interval(ax, 0.0, value, interval, MUTED, form=".3g")
    low, high = bounds or interval
    if low > 0 and high >= 10 * low:
        ax.set_xscale("log")
        ax.set_xlim(low / 1.1, high * 1.1)
    else:
        margin = 0.03 * (high - low) or 0.05 * abs(value) or 1.0
        ax.set_xlim(low - margin, high + margin)
    if ax.get_xscale() == "linear":
        ax.xaxis.set_major_locator(MaxNLocator(nbins=4))
    ax.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{x:.3g}"))
    _name_row(ax, name)


def _draw_shares(ax: Axes, name: str, recommended: str, shares: Mapping[str, float]) -> None:
    """A bar per value, in their order; the recommended one is marked."""
    tidy_axes(ax)
    places = range(len(shares))
    colours = [ACCENT if value == recommended else MUTED for value in shares]
    ax.bar(places, [1.1 * share for share in shares.values()], bottom=-0.5, width=0.8, color=colours, alpha=0.4)
    for place, share in zip(places, shares.values(), strict=True):
        text = describe_probability(share)
        ax.text(place, 0.1, text, ha="center", va="center", fontsize=8, color=INK, gid="probability")
    ax.set_xticks(places, list(shares), parse_math=False)
    ax.set_xlim(-0.6, len(shares) - 0.4)
    ax.grid(axis="x", visible=False)
    _name_row(ax, name)


def _name_row(ax: Axes, name: str) -> None:
    ax.set_ylim(-0.5, 0.7)
    ax.set_yticks([0.0], [name], parse_math=False)
    ax.tick_params(axis="y", labelsize=9, labelcolor=INK, length=0)
    ax.grid(axis="y", visible=False)


def _draw_interval(ax: Axes, y: float, value: float, interval: _Range, colour: str, *, form: str = ".2f") -> None:
    low, high = interval
    ax.plot(interval, [y, y], color=colour, linewidth=4, solid_capstyle="butt", gid="interval")
    ax.text(
        1.02,
        y,
        f"{low:{form}} to {high:{form}}",
        transform=ax.get_yaxis_transform(),
        ha="left",
        va="center",
        fontsize=8,
        color=MUTED,
    )
    ax.plot(value, y, "o", color="white", markeredgecolor=ACCENT, markeredgewidth=2, markersize=7.5, zorder=5)
    ax.annotate(
        f"{value:{form}}",
        (value, y),
        xytext=(0, -8),
        textcoords="offset points",
        ha="center",
        va="top",
        fontsize=8,
        color=INK,
    )
