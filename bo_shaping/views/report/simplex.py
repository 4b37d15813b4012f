"""Where on the simplex of mixing weights the reward is, and how sure the study is of the best place."""

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure

from bo_shaping.config.sections import FINAL_REWARD
from bo_shaping.views.report.parallel import draw_parallel_coordinates
from bo_shaping.views.report.segment import draw_segment
from bo_shaping.views.report.style import COLORMAP, new_figure, say_nothing_yet
from bo_shaping.views.report.ternary import draw_ternary
from bo_shaping.views.report.trial_frame import component_names, finished_trials

if TYPE_CHECKING:
    from bo_shaping.surrogate.recommendation import Best, Surface


def simplex_figure(
    trials: pd.DataFrame,
    best: "Best | None" = None,
    surface: "Surface | None" = None,
    *,
    kl_budget: float | None = None,
    reward: str = FINAL_REWARD,
) -> Figure:
    """Trials on the simplex over the posterior mean, with the recommended weights and the draws of the best ones.

    Two components become a line, three a triangle, more become parallel coordinates.

    Args:
        trials: One row per trial, as `Study.trials` returns it.
        best: The recommendation; left out of the picture when None.
        surface: The posterior over a grid of weights; left out when None.
        kl_budget: Trials (and parts of the surface) whose KL exceeds it are marked.
        reward: What the study maximises, in words.
    """
    components = component_names(trials)
    finished = finished_trials(trials)
    if finished.empty or len(components) < 2:
        return say_nothing_yet("No finished trial yet")
    figure = new_figure(6.9, 5.4)
    ax = figure.add_subplot()
    if len(components) == 2:
        draw_segment(ax, finished, components, best, surface, kl_budget, reward)
        return figure
    norm = _reward_range(finished, surface)
    if len(components) == 3:
        draw_ternary(ax, finished, components, best, surface, norm, kl_budget)
    else:
        draw_parallel_coordinates(ax, finished, components, best, surface, norm, kl_budget)
    _add_reward_bar(figure, ax, norm, reward)
    return figure


def _reward_range(finished: pd.DataFrame, surface: "Surface | None") -> Normalize:
    values = finished["mean"].to_numpy(dtype=float)
    if surface is not None:
        values = np.concatenate([values, np.asarray(surface.mean, dtype=float)])
    low, high = float(values.min()), float(values.max())
    margin = 0.0 if high > low else 0.5
    return Normalize(low - margin, high + margin)


def _add_reward_bar(figure: Figure, ax: Axes, norm: Normalize, reward: str) -> None:
    bar = figure.colorbar(ScalarMappable(norm, colormaps[COLORMAP]), ax=ax, shrink=0.72, aspect=26, pad=0.03)
    bar.set_label(reward, fontsize=9.5)
    bar.ax.tick_params(labelsize=8.5)
    bar.outline.set_visible(False)
