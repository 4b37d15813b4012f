"""Cross-validation of the surrogate: every training as predicted from all others, against what was measured."""

from typing import TYPE_CHECKING

import numpy as np
from matplotlib.figure import Figure

from bo_shaping.surrogate.fit import Z_90
from bo_shaping.text.wording import percent
from bo_shaping.views.report.style import ACCENT, FAINT, INK, MUTED, new_figure, say_nothing_yet, tidy_axes

if TYPE_CHECKING:
    from bo_shaping.surrogate.fit import Fit

MOST_NAMED = 40
"""Trainings whose trial is named in the picture; of more, only those outside their interval are."""


def prediction_figure(fit: "Fit | None", reward: str) -> Figure:
    """Predicted against measured, with 90 % intervals; what lies outside its own is named and coloured."""
    if fit is None or not fit.predictions:
        return say_nothing_yet("Too few trials to predict one from the others")
    figure = new_figure(6.2, 4.6)
    ax = figure.add_subplot()
    tidy_axes(ax)
    measured = np.array([one.measured for one in fit.predictions])
    predicted = np.array([one.predicted for one in fit.predictions])
    reach = Z_90 * np.array([one.sd for one in fit.predictions])
    inside = np.array([one.is_inside for one in fit.predictions])
    low, high = min(measured.min(), predicted.min()), max(measured.max(), predicted.max())
    ax.plot([low, high], [low, high], color=MUTED, linewidth=1, linestyle="dashed", label="predicted as measured")
    for rows, colour, label in ((inside, INK, "inside its 90 % interval"), (~inside, ACCENT, "outside")):
        if rows.any():
            ax.errorbar(
                measured[rows],
                predicted[rows],
                yerr=reach[rows],
                fmt="o" if colour == INK else "s",
                markersize=4.5,
                color=colour,
                ecolor=FAINT if colour == INK else ACCENT,
                elinewidth=1,
                label=f"{label}: {int(rows.sum())}",
            )
    for one in fit.predictions:
        if len(fit.predictions) <= MOST_NAMED or not one.is_inside:
            ax.annotate(
                str(one.trial),
                (one.measured, one.predicted),
                xytext=(5, 4),
                textcoords="offset points",
                fontsize=7.5,
                color=MUTED,
            )
    ax.set_xlabel(f"measured: {reward}", parse_math=False)
    ax.set_ylabel("predicted from all other trainings")
    ax.legend(fontsize=8.5, frameon=False)
    return figure


def prediction_sentences(fit: "Fit") -> list[str]:
    """The cross-validation in words."""
    n = len(fit.predictions)
    if fit.explained > 0:
        skill = f"which explains {percent(fit.explained)} of the differences between them"
    else:
        skill = "which is no better than to predict their mean every time: the surface does not describe them yet"
    return [
        f"Each of the {n} trainings is predicted from the other {n - 1} within {fit.error:.2f} (root mean "
        f"square), {skill}.",
        f"{percent(fit.coverage)} of them lie in the 90 % interval of their prediction. Far fewer than 90 % "
        "would mean that "
        "the study is too sure of itself; far more, that it is too careful.",
    ]
