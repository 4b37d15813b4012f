"""One trial while it trained: scores and KL by step."""

from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from bo_shaping.dashboard.study_view import StudyView
from bo_shaping.views.report.style import ACCENT, INK, MUTED, new_figure, say_nothing_yet, tidy_axes

_SCORE, _KL = "#0072b2", "#009e73"


def training_figure(view: StudyView, index: int) -> Figure:
    """Validation reward and the scores of the rollouts by step, and the KL of both."""
    events = view.folder.trial(index).events()
    if not events:
        return say_nothing_yet("This trial has said nothing yet")
    figure = new_figure(10.2, 3.7)
    score_ax, kl_ax = figure.subplots(1, 2)
    for replicate in sorted({event.replicate for event in events}):
        own = [event.progress for event in events if event.replicate == replicate]
        points = [progress.point for progress in own if progress.point is not None]
        first = replicate == min(event.replicate for event in events)
        for ax, name, colour in ((score_ax, "score", _SCORE), (kl_ax, "kl", _KL)):
            known = [(p.step, getattr(p, name)) for p in own if getattr(p, name) is not None]
            if known:
                label = "sampled while training" if first else None
                ax.plot(*zip(*known, strict=True), ".", color=MUTED, markersize=4, label=label)
            value = "mean" if name == "score" else "kl"
            ax.errorbar(
                [point.step for point in points],
                [getattr(point, value) for point in points],
                yerr=[point.sem for point in points] if value == "mean" else None,
                color=colour,
                marker="o",
                markersize=4.5,
                linewidth=1.8,
                elinewidth=1,
                label="on the validation prompts" if first else None,
            )
    for ax in (score_ax, kl_ax):
        tidy_axes(ax)
        ax.xaxis.set_major_locator(MaxNLocator(integer=True))
        ax.set_xlabel("PPO step")
    score_ax.set_ylabel("reward (unshaped)")
    kl_ax.set_ylabel("KL to the reference, nats per response")
    budget = view.config.objective.max_kl
    if budget is not None and budget <= 1.5 * max(kl_ax.get_ylim()[1], 1e-9):
        kl_ax.axhline(budget, color=ACCENT, linewidth=1, linestyle="dashed", label=f"KL budget {budget:g}")
    for ax in (score_ax, kl_ax):
        ax.legend(fontsize=8.5, frameon=False, labelcolor=INK)
    return figure
