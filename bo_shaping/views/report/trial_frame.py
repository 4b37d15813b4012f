"""Questions that every picture asks of the table of trials (one row per trial, as `Study.trials` returns it)."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd

from bo_shaping.storage.trials_frame import FACTS

WEIGHT_PREFIX = "w_"
CORNER_ATOL = 1e-6
"""How far from 1 the weight of a pure component may be."""

_KNOWN_COLUMNS = frozenset({"index", "status", *FACTS})


@dataclass(frozen=True)
class Landmarks:
    """The trials worth naming in a picture, by index."""

    chosen: int | None
    """The trial to look at first; None before any has finished."""
    why: str
    """What makes it so, as in "trial 3, <why>"."""
    corners: dict[str, int]
    """Component -> its best pure trial within the KL budget (or the one of least KL, if all exceed it)."""


def component_names(trials: pd.DataFrame) -> list[str]:
    """The components that the study mixes, in column order."""
    return [str(column).removeprefix(WEIGHT_PREFIX) for column in trials if str(column).startswith(WEIGHT_PREFIX)]


def extra_parameters(trials: pd.DataFrame) -> list[str]:
    """Names of the parameters that were searched besides the weights, such as `gae_lambda`."""
    names = [str(column) for column in trials]
    return [name for name in names if name not in _KNOWN_COLUMNS and not name.startswith(WEIGHT_PREFIX)]


def finished_trials(trials: pd.DataFrame) -> pd.DataFrame:
    """The trials with a finite reward, stopped ones among them, indexed by trial index."""
    if trials.empty:
        return trials
    finite = np.isfinite(pd.to_numeric(trials["mean"], errors="coerce"))
    return trials[finite].set_index("index", drop=False).rename_axis(None)


def is_stopped(trials: pd.DataFrame) -> "pd.Series[bool]":
    """Which trials were stopped early: their reward is that of their last step."""
    return trials["status"] == "stopped"


def kinds_of_trials(
    finished: pd.DataFrame, kl_budget: float | None
) -> "list[tuple[Literal['trial', 'over', 'stopped'], np.ndarray]]":
    """Kinds of finished trials that pictures tell apart, each with the rows (a mask) that are of it."""
    stopped, allowed = is_stopped(finished).to_numpy(), within_budget(finished, kl_budget).to_numpy()
    return [("trial", allowed & ~stopped), ("over", ~allowed & ~stopped), ("stopped", stopped)]


def within_budget(trials: pd.DataFrame, kl_budget: float | None) -> "pd.Series[bool]":
    """Which trials count: those whose KL is known and at most the budget; all of them without a budget."""
    if kl_budget is None:
        return pd.Series(True, index=trials.index)
    return pd.to_numeric(trials["kl"], errors="coerce") <= kl_budget


def find_landmarks(trials: pd.DataFrame, nearest_trial: int | None, kl_budget: float | None) -> Landmarks:
    """Choose the trials to name in pictures.

    Args:
        trials: One row per trial, as `Study.trials` returns it.
        nearest_trial: Index of the trial nearest to the recommendation (`Best.nearest_trial`). Without one, the best
            trial within the KL budget is chosen.
        kl_budget: Largest KL allowed, None for no budget.
    """
    finished = finished_trials(trials)
    finished = finished if finished.empty else finished[~is_stopped(finished)]
    if finished.empty:
        return Landmarks(chosen=None, why="", corners={})
    corners = {}
    for name in component_names(trials):
        pure = finished[finished[WEIGHT_PREFIX + name] >= 1 - CORNER_ATOL]
        if len(pure):
            corners[name] = _best_within(pure, kl_budget)
    if nearest_trial in finished.index:
        return Landmarks(nearest_trial, "nearest to the recommended weights", corners)
    return Landmarks(_best_within(finished, kl_budget), "best trial so far", corners)


def _best_within(finished: pd.DataFrame, kl_budget: float | None) -> int:
    allowed = finished[within_budget(finished, kl_budget)]
    rows = finished["kl"].to_numpy().argmin() if allowed.empty else allowed["mean"].to_numpy().argmax()
    return int((finished if allowed.empty else allowed)["index"].iloc[rows])
