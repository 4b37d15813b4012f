"""Pictures of a comparison: how the trainings of each method went beside the baseline's, and what the seeds tell."""

import math
from collections.abc import Callable

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from bo_shaping.comparison.methods import LEARNED
from bo_shaping.comparison.statistics import Interval
from bo_shaping.comparison.stored import MeanCurve, StoredComparison
from bo_shaping.comparison.summary import Comparison, Row
from bo_shaping.views.report.style import (
    ACCENT,
    FAINT,
    INK,
    MUTED,
    component_colours,
    new_figure,
    say_nothing_yet,
    tidy_axes,
)

_IN_A_ROW = 3
_PANEL_WIDTH, _PANEL_HEIGHT = 3.4, 2.3
"""Inches."""


def by_step_figure(stored: StoredComparison) -> Figure:
    """Reward by PPO step, a panel per method: its mean over seeds and the baseline's, with 95 % intervals."""
    return _panels(stored, stored.by_step, "PPO step", "reward by step")


def by_kl_figure(stored: StoredComparison) -> Figure:
    """Reward by KL, likewise, up to the KL that all trainings of a method reach; dotted: where it is compared."""
    figure = _panels(stored, stored.by_kl, "KL to the reference, nats per response", "reward by KL")
    rows = [row for row in stored.comparison.rows if row.method != stored.comparison.baseline]
    panels = [ax for ax in figure.axes if ax.get_gid() == "panel"]
    for ax, row in zip(panels, rows, strict=False):
        ax.axvline(row.equal_kl, color=MUTED, linewidth=1, linestyle="dotted", gid="equal KL")
    return figure


def differences_figure(comparison: Comparison) -> Figure:
    """Each method less the baseline, paired by seed, with 95 % intervals: on the left of zero it is worse."""
    rows = [row for row in comparison.rows if row.method != comparison.baseline]
    columns: list[tuple[str, Callable[[Row], Interval | None]]] = [
        ("held reward (speed counts)", lambda row: row.difference),
        ("reward at equal KL", lambda row: row.at_kl_difference),
        (f"reward after {comparison.equal_seconds:.3g} s", lambda row: row.at_seconds_difference),
    ]
    colours = method_colours([row.method for row in rows])
    figure = new_figure(10.2, 1.2 + 0.36 * len(rows))
    for ax, (title, difference) in zip(figure.subplots(1, len(columns), sharey=True), columns, strict=True):
        tidy_axes(ax)
        ax.axvline(0.0, color=MUTED, linewidth=1.2)
        for place, row in enumerate(rows):
            _draw_interval(ax, len(rows) - 1 - place, difference(row), colours[row.method])
        ax.set_title(title, fontsize=10, color=INK, loc="left")
        ax.set_yticks(range(len(rows)), [row.method for row in reversed(rows)])
        ax.set_ylim(-0.6, len(rows) - 0.4)
        ax.tick_params(axis="y", labelsize=9.5, labelcolor=INK, length=0)
        ax.grid(axis="y", visible=False)
        ax.set_xlabel(f"less that of {comparison.baseline}")
    return figure


def method_colours(methods: list[str]) -> dict[str, str]:
    """A colour per method, the one of its component everywhere; that of recommendations for what was learned."""
    colours = component_colours([method for method in methods if method != LEARNED])
    return {method: ACCENT if method == LEARNED else colours[method] for method in methods}


def _panels(stored: StoredComparison, curve_of: Callable[[str], MeanCurve], along: str, what: str) -> Figure:
    comparison = stored.comparison
    methods = [row.method for row in comparison.rows if row.method != comparison.baseline]
    if not methods:
        return say_nothing_yet("One method alone is no comparison")
    curves = {row.method: curve_of(row.method) for row in comparison.rows}
    colours = method_colours([row.method for row in comparison.rows])
    in_a_row = min(_IN_A_ROW, len(methods))
    n_rows = math.ceil(len(methods) / in_a_row)
    # Two panels are as wide as three: narrow ones would have no room for their names.
    width = _PANEL_WIDTH * _IN_A_ROW if in_a_row > 1 else 1.6 * _PANEL_WIDTH
    figure = new_figure(width, 0.5 + _PANEL_HEIGHT * n_rows)
    axes = np.atleast_2d(figure.subplots(n_rows, in_a_row, sharex=True, sharey=True, squeeze=False))
    for ax in axes.flat[len(methods) :]:
        ax.set_axis_off()
    for place, (ax, method) in enumerate(zip(axes.flat, methods, strict=False)):
        ax.set_gid("panel")
        tidy_axes(ax)
        for other in methods:
            if other != method:
                ax.plot(curves[other].at, [i.value for i in curves[other].intervals], color=FAINT, linewidth=0.8)
        _draw_curve(ax, curves[comparison.baseline], MUTED, "dashed")
        _draw_curve(ax, curves[method], colours[method], "solid")
        ax.set_title(method, fontsize=10.5, color=colours[method], loc="left", fontweight="bold")
        ax.xaxis.set_major_locator(MaxNLocator(5, integer=True))
        # What stands above an empty place has no axis below it.
        ax.tick_params(labelbottom=place + in_a_row >= len(methods))
    figure.supxlabel(along, fontsize=9.5, color=INK)
    figure.supylabel("reward (unshaped)", fontsize=9.5, color=INK)
    seeds = "one seed" if comparison.n_seeds == 1 else f"{comparison.n_seeds} seeds; band: 95 % interval of the mean"
    title = f"{what[0].upper()}{what[1:]}, {seeds}. Dashed: {comparison.baseline}"
    title += "; faint: the other methods" if len(methods) > 1 else ""
    figure.suptitle(title, fontsize=9.5, color=INK, x=0.01, ha="left")
    return figure


def _draw_curve(ax: Axes, curve: MeanCurve, colour: str, style: str) -> None:
    ax.plot(curve.at, [i.value for i in curve.intervals], color=colour, linewidth=2, linestyle=style)
    low, high = ([interval[end] for interval in curve.intervals] for end in (1, 2))
    if not np.isnan(low).any():
        ax.fill_between(curve.at, low, high, color=colour, alpha=0.18, linewidth=0)


def _draw_interval(ax: Axes, y: float, interval: Interval | None, colour: str) -> None:
    if interval is None:
        return
    if not math.isnan(interval.low):
        ax.plot([interval.low, interval.high], [y, y], color=colour, linewidth=2.4, solid_capstyle="round")
    ax.plot(interval.value, y, "o", color=colour, markersize=7, markeredgecolor="white")
