"""The report's learning curves, with the trials that are still running drawn over them."""

from matplotlib.figure import Figure

from bo_shaping.dashboard.study_view import StudyView
from bo_shaping.views.report.curves import curves_figure
from bo_shaping.views.report.style import INK

RUNNING = "#0072b2"
"""The colour of what is running, also in the tables."""


def live_curves_figure(view: StudyView) -> Figure:
    """Reward by step and by KL, running trials dashed and with their numbers at the newest point."""
    running = view.running_curves
    objective = view.config.objective
    figure = curves_figure(
        view.frame,
        view.curves or running,
        view.landmarks,
        kl_budget=objective.max_kl,
        kl_held=objective.held_kl is not None,
    )
    if not running or len(figure.axes) < 2:
        return figure
    for ax, name in zip(figure.axes, ("step", "kl"), strict=False):
        for index, curve in running.items():
            x, y = [getattr(point, name) for point in curve], [point.mean for point in curve]
            ax.plot(
                x, y, color=RUNNING, linewidth=1.7, linestyle=(0, (4, 2)), marker="o", markersize=3.5, gid="running"
            )
            ax.annotate(
                f"#{index} running",
                (x[-1], y[-1]),
                xytext=(5, 3),
                textcoords="offset points",
                fontsize=8,
                color=INK,
                parse_math=False,
            )
    return figure
