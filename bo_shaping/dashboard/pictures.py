"""The pictures of a study by name: how each is drawn, and the numbers behind it."""

from collections.abc import Callable
from dataclasses import dataclass

from matplotlib.figure import Figure

from bo_shaping.dashboard import tables
from bo_shaping.dashboard.alike_figure import alike_figure
from bo_shaping.dashboard.importance_figure import importance_figure
from bo_shaping.dashboard.kl_figure import kl_figure
from bo_shaping.dashboard.live_curves import live_curves_figure
from bo_shaping.dashboard.study_view import StudyView
from bo_shaping.dashboard.timeline import timeline_figure, timeline_spans
from bo_shaping.dashboard.training_figure import training_figure
from bo_shaping.views.report.simplex import simplex_figure
from bo_shaping.views.report.weights import weights_figure

Table = tuple[list[str], list[list[object]]]
"""Headings, and rows of as many cells."""


@dataclass(frozen=True)
class Picture:
    """One picture, and the words around it."""

    heading: str
    lead: str
    alt: str
    """What is to be seen, for who cannot."""
    draw: Callable[[StudyView, int], Figure]
    """From a study and, of a trial's picture, its index."""
    table: Callable[[StudyView, int], Table]
    is_live: bool = False
    """Whether it changes with the progress of running trials."""
    is_worth_it: Callable[[StudyView], bool] = lambda view: True
    """Whether there is anything to see yet."""


PICTURES = {
    "simplex": Picture(
        "Where the reward is",
        "",
        "trials and expected reward over the mixing weights, with the recommended ones",
        lambda view, _: simplex_figure(
            view.frame, view.best, view.surface, kl_budget=view.kl_limit, reward=view.status.reward
        ),
        lambda view, _: tables.trials_table(view),
    ),
    "weights": Picture(
        "What is known of the best weights",
        "",
        "a density and a 90 % interval for the best weight of each component and each setting",
        lambda view, _: weights_figure(
            view.best, view.surface, bounds={n: s.bounds for n, s in view.config.search_space.ranges.items()}
        ),
        lambda view, _: tables.weights_table(view),
    ),
    "curves": Picture(
        "Learning curves",
        "Reward is the unshaped score on the same validation prompts. Left, who learns faster; right, who is better at "
        "equal KL: reward bought with KL is not learning. Dashed lines are trials that still run.",
        "validation reward of every trial by PPO step and by KL",
        lambda view, _: live_curves_figure(view),
        lambda view, _: tables.curves_table(view),
        is_live=True,
    ),
    "kl": Picture(
        "Reward against KL",
        "Where each trial ended. A trial up and to the left of another has learned more for less.",
        "final reward of each trial against its KL, with the KL budget",
        lambda view, _: kl_figure(view),
        lambda view, _: tables.trials_table(view),
    ),
    "importance": Picture(
        "What matters",
        "Left, the share of the differences in expected reward over the search space that each has a part in; they may "
        "add up to more than 1. Right, what the best mixture without a component is expected to lose.",
        "shares of the variance of the expected reward, and the cost of leaving each component out",
        lambda view, _: importance_figure(view.best),
        lambda view, _: tables.importance_table(view),
        is_worth_it=lambda view: view.best is not None,
    ),
    "alike": Picture(
        "How alike the components pay",
        "Correlation of their credit within a response. What correlates near 1 cannot be told apart by any training.",
        "correlation of each two components' token credit",
        lambda view, _: alike_figure(view.similarity),
        lambda view, _: tables.alike_table(view),
        is_worth_it=lambda view: view.similarity is not None,
    ),
    "timeline": Picture(
        "Timeline",
        "When each trial ran, as far as the times of its files tell; each line is a worker.",
        "a bar per trial over time, one lane per worker that was busy at the same time",
        lambda view, _: timeline_figure(view),
        lambda view, _: tables.timeline_table(view),
        is_live=True,
        is_worth_it=lambda view: bool(timeline_spans(view)),
    ),
}
"""Those of a study, in the order in which they are shown."""

TRIAL_PICTURES = {
    "training": Picture(
        "This training",
        "Dots are evaluations on the validation prompts with their standard error, small dots what the policy sampled "
        "while it trained, one seed each.",
        "score and KL of one trial by PPO step",
        training_figure,
        tables.training_table,
        is_live=True,
    ),
}
"""Those of a trial."""


def shown_pictures(view: StudyView) -> list[str]:
    """The names of the pictures that there is something to see on."""
    return [name for name, picture in PICTURES.items() if picture.is_worth_it(view)]
