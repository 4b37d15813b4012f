"""Where each trial ended: reward against KL."""

from dataclasses import dataclass

from matplotlib.figure import Figure

from bo_shaping.dashboard.study_view import StudyView
from bo_shaping.views.report.front import front_figure
from bo_shaping.views.report.style import (
    ACCENT,
    INK,
    MUTED,
    component_colours,
    new_figure,
    say_nothing_yet,
    tidy_axes,
)

_NUMBERED = 60
"""Beyond so many trials, only those that are named have their number written beside them."""


@dataclass(frozen=True)
class _Ending:
    """Where a trial ended."""

    index: int
    kl: float
    reward: float
    status: str


def kl_figure(view: StudyView) -> Figure:
    """Final reward against final KL, the named trials in their colours; the Pareto front where the study has one."""
    if view.best is not None and view.best.front:
        return front_figure(view.frame, view.best.front)
    ended = [
        _Ending(record.index, record.kl, record.mean if record.final is None else record.final, record.status)
        for record in (trial.record for trial in view.trials)
        if record.mean is not None and record.kl is not None
    ]
    if not ended:
        return say_nothing_yet("No finished trial with a KL yet")
    figure = new_figure(10.2, 4.1)
    ax = figure.add_subplot()
    tidy_axes(ax)
    colours = component_colours(list(view.config.search_space.components))
    named = {index: (colours[name], f"pure {name}, its best trial") for name, index in view.landmarks.corners.items()}
    if view.landmarks.chosen is not None:
        named[view.landmarks.chosen] = (ACCENT, view.landmarks.why)
    for is_stopped, marker, label in ((False, "o", "trial"), (True, "v", "trial stopped early, as it stood then")):
        rest = [r for r in ended if r.index not in named and (r.status == "stopped") == is_stopped]
        if rest:
            ax.scatter([r.kl for r in rest], [r.reward for r in rest], s=26, marker=marker, color=MUTED, label=label)
    for record in ended:
        if record.index in named:
            colour, label = named[record.index]
            ax.scatter([record.kl], [record.reward], s=64, color=colour, label=f"#{record.index} {label}", zorder=4)
        if record.index in named or len(ended) <= _NUMBERED:
            place, shift = (record.kl, record.reward), (5, 4)
            ax.annotate(str(record.index), place, xytext=shift, textcoords="offset points", fontsize=7.5, color=INK)
    budget = view.config.objective.max_kl
    if budget is not None and budget <= 1.5 * max(record.kl for record in ended):
        ax.axvline(budget, color=MUTED, linewidth=1, linestyle="dashed", label=f"KL budget {budget:g}")
    ax.set_xlabel("KL to the reference policy, nats per response")
    ax.set_ylabel("reward at the end of the training")
    figure.legend(loc="outside right upper", fontsize=8.5, frameon=False, labelcolor=INK)
    return figure
