"""The picture of four or more mixing weights: one vertical axis per component, one line per trial."""

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.colors import Normalize

from bo_shaping.views.report.style import ACCENT, COLORMAP, FAINT, INK, MUTED, TRIAL_MARKERS, tidy_axes
from bo_shaping.views.report.trial_frame import WEIGHT_PREFIX, kinds_of_trials

if TYPE_CHECKING:
    from bo_shaping.surrogate.recommendation import Best, Surface

_LINES: dict[str, str | tuple[int, tuple[int, int]]] = {"trial": "-", "over": (0, (4, 3)), "stopped": (0, (1, 2))}


def draw_parallel_coordinates(
    ax: Axes,
    finished: pd.DataFrame,
    components: list[str],
    best: "Best | None",
    surface: "Surface | None",
    norm: Normalize,
    kl_budget: float | None,
) -> None:
    """Draw a line per trial coloured by reward, the recommendation and its 90 % intervals.

    Trials over the KL budget are dashed, those that were stopped early dotted. The posterior mean has no room in this
    picture; of `surface` only the draws of the best weights are shown.
    """
    tidy_axes(ax)
    axes = [float(position) for position in range(len(components))]
    for position in axes:
        ax.axvline(position, color=FAINT, linewidth=1, zorder=1)
    if surface is not None:
        for draw in np.asarray(surface.draws, dtype=float)[:200]:
            ax.plot(axes, draw, color=ACCENT, alpha=0.03, linewidth=1, zorder=2)
    weights = finished[[WEIGHT_PREFIX + name for name in components]].to_numpy(dtype=float)
    rewards = finished["mean"].to_numpy(dtype=float)
    for kind, rows in kinds_of_trials(finished, kl_budget):
        label = TRIAL_MARKERS[kind][1]
        for row in np.flatnonzero(rows):
            colour = colormaps[COLORMAP](norm(rewards[row]))
            ax.plot(axes, weights[row], color=colour, linewidth=1.6, linestyle=_LINES[kind], gid=label)
        if kind != "trial" and rows.any():
            ax.plot([], [], color=MUTED, linestyle=_LINES[kind], label=label)
    if best is not None:
        centre = [best.weights[name] for name in components]
        ax.plot(axes, centre, color=ACCENT, linewidth=2.6, marker="*", markersize=13, label="recommended weights")
        for position, name in zip(axes, components, strict=True):
            ax.plot(
                [position] * 2,
                best.interval[name],
                color=ACCENT,
                linewidth=4,
                alpha=0.4,
            )
        ax.plot([], [], color=ACCENT, linewidth=4, alpha=0.4, label="90 % interval")
    ax.set_xticks(axes, components)
    ax.tick_params(axis="x", labelsize=10, labelcolor=INK)
    ax.set_ylim(-0.03, 1.03)
    ax.set_ylabel("weight")
    if ax.get_legend_handles_labels()[0]:
        ax.legend(fontsize=8.5, frameon=False, loc="upper center", bbox_to_anchor=(0.5, -0.07), ncols=3)
