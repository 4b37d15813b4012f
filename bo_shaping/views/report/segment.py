"""The picture of two mixing weights: reward along the line between the two pure components."""

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from bo_shaping.views.report.style import ACCENT, FAINT, INK, TRIAL_MARKERS, tidy_axes
from bo_shaping.views.report.trial_frame import WEIGHT_PREFIX, kinds_of_trials

if TYPE_CHECKING:
    from bo_shaping.surrogate.recommendation import Best, Surface

_SURFACE_COLOUR = "#31688e"  # from the middle of the reward colour map


def draw_segment(
    ax: Axes,
    finished: pd.DataFrame,
    components: list[str],
    best: "Best | None",
    surface: "Surface | None",
    kl_budget: float | None,
    reward: str,
) -> None:
    """Draw the posterior mean with its 90 % band, the trials with their SEM, and the recommended weight."""
    tidy_axes(ax)
    first, second = components
    if surface is not None and len(surface.weights):
        _draw_posterior(ax, surface)
    x = finished[WEIGHT_PREFIX + second].to_numpy(dtype=float)
    y = finished["mean"].to_numpy(dtype=float)
    sem = finished["sem"].fillna(0.0).to_numpy(dtype=float)
    ax.errorbar(x, y, yerr=sem, fmt="none", ecolor=FAINT, linewidth=1.2, zorder=4)
    for kind, rows in kinds_of_trials(finished, kl_budget):
        if rows.any():
            marker, label = TRIAL_MARKERS[kind]
            ax.scatter(
                x[rows],
                y[rows],
                s=60,
                marker=marker,
                color="white" if kind == "over" else INK,
                edgecolor=INK,
                zorder=5,
                label=f"{label} (± SEM)" if kind == "trial" else label,
                gid=label,
            )
    for index, place in zip(finished["index"], zip(x, y, strict=True), strict=True):
        ax.annotate(str(index), place, xytext=(6, 5), textcoords="offset points", fontsize=8, color=INK, zorder=6)
    if best is not None:
        weight = best.weights[second]
        ax.axvspan(
            *best.interval[second], color=ACCENT, alpha=0.12, linewidth=0, label="90 % interval of the best weight"
        )
        ax.axvline(weight, color=ACCENT, linewidth=1.6, label="recommended weight")
    ax.set_xlim(-0.03, 1.03)
    ax.set_xticks([0, 0.25, 0.5, 0.75, 1], [f"0\npure {first}", "0.25", "0.5", "0.75", f"1\npure {second}"])
    ax.set_xlabel(f"weight of {second}", parse_math=False)
    ax.set_ylabel(reward)
    ax.legend(fontsize=8.5, frameon=False)


def _draw_posterior(ax: Axes, surface: "Surface") -> None:
    order = np.argsort(np.asarray(surface.weights)[:, 1])
    weight = np.asarray(surface.weights, dtype=float)[order, 1]
    mean, sd = np.asarray(surface.mean, dtype=float)[order], np.asarray(surface.sd, dtype=float)[order]
    z = 1.645  # 90 % of a normal distribution, as every interval of the report
    ax.fill_between(weight, mean - z * sd, mean + z * sd, color=_SURFACE_COLOUR, alpha=0.14, linewidth=0)
    ax.plot(weight, mean, color=_SURFACE_COLOUR, linewidth=2, label="posterior mean, 90 % band")
