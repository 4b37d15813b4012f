"""How short may trials be? Rank correlation of the learning curves at each step with what the trials were worth."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray
from scipy.stats import rankdata

from bo_shaping.text.wording import percent
from bo_shaping.views.report.style import FAINT, INK, MUTED, new_figure, say_nothing_yet, tidy_axes
from inner_loop.spec import CurvePoint

Array = NDArray[np.float64]

ENOUGH = 0.9
"""A rank correlation from which on the order of the trials is nearly that of the end."""
FEWEST = 5
"""Trials below which a correlation says nothing."""
N_BOOTSTRAP = 500


@dataclass(frozen=True)
class RankCorrelation:
    """Spearman's correlation at `c` steps, over n trials."""

    steps: Array
    values: Array
    low: Array
    high: Array
    """Ends of 90 % bootstrap intervals."""
    n_trials: int

    @property
    def enough_from(self) -> int | None:
        """The first step from which on the correlation stays at `ENOUGH` or more, if that is before the last step."""
        below = np.flatnonzero(self.values < ENOUGH)
        first = 0 if not len(below) else int(below[-1]) + 1
        return int(self.steps[first]) if first < len(self.steps) - 1 else None


def rank_correlation(
    curves: Mapping[int, Sequence[CurvePoint]], ends: Mapping[int, float], *, random_seed: int = 0
) -> RankCorrelation | None:
    """The correlation of the rewards at each step of the longest curve with what the trials were worth in the end.

    A curve that ended early, at the KL budget, keeps its last reward. None with fewer than `FEWEST` trials.

    Args:
        curves: Trial index -> learning curve.
        ends: Trial index -> what the study maximises; only trials with both count.
        random_seed: Of the bootstrap over trials.
    """
    shared = [index for index in sorted(curves) if index in ends and len(curves[index]) > 1]
    if len(shared) < FEWEST:
        return None
    longest = max((curves[index] for index in shared), key=len)
    # At the start all policies are one.
    steps = np.array([point.step for point in longest if point.step > 0], dtype=float)
    at = np.array([np.interp(steps, *_columns(curves[index])) for index in shared])
    end = np.array([ends[index] for index in shared])
    rng = np.random.default_rng(random_seed)
    samples = rng.integers(len(shared), size=(N_BOOTSTRAP, len(shared)))
    drawn = np.array([spearman(at[rows], end[rows]) for rows in samples])
    low, high = np.nanquantile(drawn, (0.05, 0.95), axis=0)
    return RankCorrelation(steps, spearman(at, end), low, high, len(shared))


def spearman(columns: Array, end: Array) -> Array:
    """`c` rank correlations of the columns of `n x c` with `n` values; 0 where one of both is constant."""
    ranks, end_ranks = rankdata(columns, axis=0), rankdata(end)
    ranks = ranks - ranks.mean(axis=0)
    end_ranks = end_ranks - end_ranks.mean()
    scale = np.sqrt((ranks**2).sum(axis=0) * (end_ranks**2).sum())
    product = end_ranks @ ranks
    return np.divide(product, scale, out=np.zeros_like(product), where=scale > 0)


def rank_correlation_figure(found: RankCorrelation | None) -> Figure:
    """The correlation by step, with its band."""
    if found is None:
        return say_nothing_yet(f"Too few learning curves yet: {FEWEST} are needed")
    figure = new_figure(6.2, 3.6)
    ax = figure.add_subplot()
    tidy_axes(ax)
    ax.fill_between(found.steps, found.low, found.high, color=FAINT, alpha=0.5, linewidth=0, label="90 % interval")
    ax.plot(found.steps, found.values, "o-", color=INK, linewidth=1.8, markersize=4, label="rank correlation")
    ax.axhline(ENOUGH, color=MUTED, linewidth=1, linestyle="dashed")
    ax.annotate(f"{ENOUGH:g}", (found.steps[0], ENOUGH), xytext=(0, 3), textcoords="offset points", color=MUTED)
    ax.set_ylim(min(-0.05, float(found.low.min()) - 0.05), 1.05)
    ax.set_xlabel("PPO step at which one would stop")
    ax.set_ylabel("rank correlation with the end")
    ax.legend(fontsize=8.5, frameon=False, loc="lower right")
    return figure


def rank_correlation_sentences(found: RankCorrelation) -> list[str]:
    """What that says, in words."""
    last = int(found.steps[-1])
    over = f"over {found.n_trials} trials"
    if found.enough_from is None:
        return [
            f"The order of the trials goes on changing until the end ({over}): at no step before {last} does the rank "
            f"correlation of the rewards there with what the study maximises come to {ENOUGH:g} and stay there. "
            "Shorter "
            "trials would rank the mixtures otherwise."
        ]
    return [
        f"From step {found.enough_from} of {last} on, the rewards rank the trials nearly as what the study "
        "maximises does "
        f"in the end (rank correlation at least {ENOUGH:g}, {over}): trials of "
        f"{percent(found.enough_from / last)} of the "
        "length would rank the mixtures alike."
    ]


def _columns(curve: Sequence[CurvePoint]) -> tuple[list[int], list[float]]:
    return [point.step for point in curve], [point.mean for point in curve]
