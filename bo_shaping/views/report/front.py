"""The Pareto front of a study that trades reward against KL."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from bo_shaping.views.report.style import ACCENT, INK, MUTED, TRIAL_MARKERS, new_figure, say_nothing_yet, tidy_axes
from bo_shaping.views.report.trial_frame import finished_trials, kinds_of_trials

if TYPE_CHECKING:
    from bo_shaping.surrogate.recommendation import FrontPoint


def front_figure(trials: pd.DataFrame, front: "Sequence[FrontPoint]") -> Figure:
    """Reward against KL: the points that no other is expected to beat in both, with 90 % intervals, and the trials.

    Args:
        trials: One row per trial, as `Study.trials` returns it.
        front: `Best.front`, from least to most KL.
    """
    if not front:
        return say_nothing_yet("No Pareto front yet")
    figure = new_figure(10.2, 4.4)
    ax = figure.add_subplot()
    tidy_axes(ax)
    finished = finished_trials(trials)
    if not finished.empty:
        for kind, rows in kinds_of_trials(finished, None):
            if rows.any():
                marker, label = TRIAL_MARKERS[kind]
                shown = finished[rows]
                ax.scatter(shown["kl"], shown["mean"], s=26, marker=marker, color=MUTED, label=label, gid=label)
                for index, place in zip(shown["index"], zip(shown["kl"], shown["mean"], strict=True), strict=True):
                    ax.annotate(str(index), place, xytext=(5, 4), textcoords="offset points", fontsize=7.5, color=MUTED)
    kl, mean = np.array([point.kl for point in front]), np.array([point.mean for point in front])
    ax.errorbar(
        kl,
        mean,
        xerr=_reach(kl, [point.kl_interval for point in front]),
        yerr=_reach(mean, [point.mean_interval for point in front]),
        fmt="o-",
        color=ACCENT,
        ecolor=ACCENT,
        elinewidth=1,
        alpha=0.85,
        markersize=5,
        label="Pareto front, expected, 90 % intervals",
        gid="front",
    )
    for point in front:
        mixture = " ".join(f"{weight:.2f} {name}" for name, weight in point.weights.items() if weight >= 0.005)
        ax.annotate(
            mixture,
            (point.kl, point.mean),
            xytext=(6, -10),
            textcoords="offset points",
            fontsize=7,
            color=INK,
            parse_math=False,
        )
    ax.set_xlabel("KL to the reference, nats per response")
    ax.set_ylabel("validation reward")
    ax.legend(fontsize=8.5, frameon=False)
    return figure


def _reach(centres: np.ndarray, intervals: Sequence[tuple[float, float]]) -> np.ndarray:
    """`2 x n` distances to the ends of the intervals, as matplotlib wants them: never negative."""
    low, high = np.array(intervals).T
    return np.maximum([centres - low, high - centres], 0.0)
