"""What the expected reward hangs on, over the whole search space."""

from typing import TYPE_CHECKING

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bo_shaping.views.report.style import INK, MUTED, component_colours, new_figure, say_nothing_yet, tidy_axes

if TYPE_CHECKING:
    from bo_shaping.surrogate.recommendation import Best

_BAR = "#31688e"


def importance_figure(best: "Best | None") -> Figure:
    """Total Sobol indices, and what leaving a component out is expected to cost (± one posterior deviation)."""
    if best is None or not (best.matters or best.leaving_out):
        return say_nothing_yet("No recommendation yet")
    rows = max(len(best.matters), len(best.leaving_out))
    figure = new_figure(10.2, 1.1 + 0.42 * rows)
    left, right = figure.subplots(1, 2)
    shares = sorted(best.matters.items(), key=lambda item: item[1])
    _bars(left, [name for name, _ in shares], [value for _, value in shares], None, dict.fromkeys(best.matters, _BAR))
    left.set_xlim(0, 1.12)
    left.set_xlabel("share of the variance of the expected reward")
    costs = sorted(best.leaving_out.items(), key=lambda item: item[1].mean)
    values = [max(cost.mean, 0.0) for _, cost in costs]
    colours = component_colours(list(best.weights))
    _bars(right, [name for name, _ in costs], values, [cost.sd for _, cost in costs], colours)
    right.set_xlabel("cost of leaving it out, in units of the reward")
    return figure


def _bars(ax: Axes, names: list[str], values: list[float], spread: list[float] | None, colours: dict[str, str]) -> None:
    tidy_axes(ax)
    rows = range(len(names))
    ax.barh(rows, values, height=0.6, color=[colours.get(name, _BAR) for name in names], alpha=0.85)
    if spread is not None:
        ax.errorbar(values, rows, xerr=spread, fmt="none", ecolor=INK, elinewidth=1, capsize=3)
    reach = spread or [0.0] * len(values)
    for row, (value, extra) in enumerate(zip(values, reach, strict=True)):
        ax.annotate(
            f"{value:.2f}" if spread is None else f"{value:.2f} ± {extra:.2f}",
            (value + extra, row),
            xytext=(4, 0),
            textcoords="offset points",
            va="center",
            fontsize=8.5,
            color=INK,
        )
    ax.set_yticks(rows, names, parse_math=False)
    ax.tick_params(axis="y", labelsize=9.5, labelcolor=INK, length=0)
    ax.grid(axis="y", visible=False)
    ax.spines["left"].set_color(MUTED)
    if spread is not None and values:
        low = min(0.0, *(value - extra for value, extra in zip(values, reach, strict=True)))
        ax.set_xlim(
            low, max((value + extra for value, extra in zip(values, reach, strict=True)), default=1.0) * 1.35 or 1
        )
