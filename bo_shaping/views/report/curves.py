"""How the policies learned: reward against steps, and reward against KL, with the pure components as baselines."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

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
from bo_shaping.views.report.trial_frame import Landmarks, component_names
from bo_shaping.views.report.verdict import Comparison, comparison
from inner_loop.spec import CurvePoint

_FAINT_WIDTH = 0.9

_BUDGET_IN_SIGHT = 1.5
"""The KL budget is drawn up to this many times the largest KL."""


@dataclass(frozen=True)
class _Line:
    """How a named trial is drawn, and what the legend calls it."""

    colour: str
    width: float
    label: str


def curves_figure(
    trials: pd.DataFrame,
    curves: Mapping[int, Sequence[CurvePoint]],
    landmarks: Landmarks,
    *,
    kl_budget: float | None = None,
    kl_held: bool = False,
) -> Figure:
    """Learning curves of all trials; the recommended one and the best pure ones stand out.

    The band is one standard error over validation prompts: it says nothing about other PPO seeds. The right half shows
    the same points against KL, where a policy that only moved further has no advantage; a dotted line is where the
    chosen trial and the best sparse one are compared at equal KL. A cross is where a trial was
    stopped early.

    Args:
        trials: One row per trial, as `Study.trials` returns it.
        curves: Trial index -> learning curve, as `Study.curves` returns them.
        landmarks: Which trials to name (`find_landmarks`).
        kl_budget: Drawn as a line; None without a budget.
        kl_held: Whether trainings stop at the budget: then none is over it.
    """
    curves = {index: curve for index, curve in sorted(curves.items()) if curve}
    if not curves:
        return say_nothing_yet("No learning curve yet")
    figure = new_figure(10.2, 4.7)
    by_step, by_kl = figure.subplots(1, 2, sharey=True)
    lines = _choose_lines(curves, landmarks, component_names(trials), None if kl_held else kl_budget)
    # The named trials are drawn last, over the faint ones.
    stopped = set(trials.loc[trials["status"] == "stopped", "index"])
    _draw_others(by_step, by_kl, {index: curves[index] for index in curves if index not in lines}, stopped)
    for index in sorted(lines, key=lambda i: lines[i].width):
        _draw_trial(by_step, by_kl, curves[index], lines[index], "x" if index in stopped else "o")
    largest = max(point.kl for curve in curves.values() for point in curve)
    # A budget that no trial comes near would squeeze all curves into a corner.
    if kl_budget is not None and kl_budget <= _BUDGET_IN_SIGHT * largest:
        by_kl.axvline(kl_budget, color=MUTED, linewidth=1, linestyle="dashed")
        by_kl.annotate(
            f"KL budget {kl_budget:g}",
            (kl_budget, 0.01),
            xycoords=("data", "axes fraction"),
            xytext=(-3, 2),
            textcoords="offset points",
            rotation=90,
            ha="right",
            va="bottom",
            fontsize=8,
            color=MUTED,
        )
    _mark_comparison(by_kl, comparison(curves, landmarks))
    for ax in (by_step, by_kl):
        tidy_axes(ax)
    by_step.xaxis.set_major_locator(MaxNLocator(integer=True))
    by_step.set_xlabel("PPO step")
    by_step.set_ylabel("validation reward (unshaped)")
    by_kl.set_xlabel("KL to the reference policy, nats per response")
    by_step.set_title("Reward while learning (band: ± SEM over prompts)", fontsize=10, color=INK, loc="left")
    by_kl.set_title("Reward at equal KL (dot: end of training, x: stopped)", fontsize=10, color=INK, loc="left")
    handles, labels = by_step.get_legend_handles_labels()
    order = sorted(range(len(labels)), key=lambda i: -handles[i].get_linewidth())
    figure.legend(
        [handles[i] for i in order],
        [labels[i] for i in order],
        loc="outside lower center",
        ncols=3,
        fontsize=8.5,
        frameon=False,
        labelcolor=INK,
    )
    return figure


def _mark_comparison(ax: Axes, compared: Comparison | None) -> None:
    """Where the chosen trial and the best sparse one are compared, and what came of it, as the headline says it."""
    if compared is None or compared.at_equal_kl is None:
        return
    equal = compared.at_equal_kl
    low, high = equal.interval
    ax.axvline(equal.kl, color=ACCENT, linewidth=1, linestyle="dotted", gid="equal KL")
    ax.annotate(
        f"#{compared.chosen} less #{compared.sparse} at KL {equal.kl:.1f}:\n"
        f"{equal.difference:+.2f} (90 %: {low:.2f} to {high:.2f})",
        (0.98, 0.02),
        xycoords="axes fraction",
        ha="right",
        va="bottom",
        fontsize=8,
        color=INK,
    )


def _choose_lines(
    curves: Mapping[int, Sequence[CurvePoint]], landmarks: Landmarks, components: list[str], kl_budget: float | None
) -> dict[int, _Line]:
    """The trials that are named; all others are alike."""
    colours, lines = component_colours(components), {}
    for name, index in landmarks.corners.items():
        if index in curves:
            over = kl_budget is not None and curves[index][-1].kl > kl_budget
            which = "over the KL budget" if over else "its best trial"
            lines[index] = _Line(colours[name], 1.8, f"pure {name}, {which} (#{index})")
    if landmarks.chosen is not None and landmarks.chosen in curves:
        pure = next((f", pure {name}" for name, index in landmarks.corners.items() if index == landmarks.chosen), "")
        lines[landmarks.chosen] = _Line(ACCENT, 2.6, f"{landmarks.why} (#{landmarks.chosen}{pure})")
    return lines


def _draw_others(
    by_step: Axes, by_kl: Axes, curves: Mapping[int, Sequence[CurvePoint]], stopped: Collection[int]
) -> None:
    """All curves that are not named as one line with gaps: hundreds of lines of their own would take seconds."""
    if not curves:
        return
    gap = (np.nan, np.nan, np.nan)
    x, kl, y = np.array([row for curve in curves.values() for row in (*_rows(curve), gap)], dtype=float).T
    by_step.plot(x, y, color=FAINT, linewidth=_FAINT_WIDTH, label="other trials")
    by_kl.plot(kl, y, color=FAINT, linewidth=_FAINT_WIDTH)
    for end, is_stopped in (("o", False), ("x", True)):
        lasts = [curve[-1] for index, curve in curves.items() if (index in stopped) is is_stopped]
        if lasts:
            by_kl.plot([point.kl for point in lasts], [point.mean for point in lasts], end, color=FAINT, markersize=3)


def _rows(curve: Sequence[CurvePoint]) -> list[tuple[float, float, float]]:
    return [(point.step, point.kl, point.mean) for point in curve]


def _draw_trial(by_step: Axes, by_kl: Axes, curve: Sequence[CurvePoint], line: _Line, end: str) -> None:
    steps = [point.step for point in curve]
    mean = np.array([point.mean for point in curve])
    sem = np.array([point.sem for point in curve])
    kl = [point.kl for point in curve]
    by_step.plot(steps, mean, color=line.colour, linewidth=line.width, label=line.label)
    by_kl.plot(kl, mean, color=line.colour, linewidth=line.width)
    by_kl.plot(kl[-1], mean[-1], end, color=line.colour, markersize=6)
    by_step.fill_between(steps, mean - sem, mean + sem, color=line.colour, alpha=0.16, linewidth=0)
