"""What the trials of older tasks have brought to a study: how alike surfaces are, how much better it predicts."""

import numpy as np
from numpy.typing import NDArray

from bo_shaping.config import StudyConfig
from bo_shaping.space.encoding import axes_of
from bo_shaping.surrogate.joint_posterior import Posterior, process_of
from bo_shaping.surrogate.older_surfaces import older_surfaces
from bo_shaping.surrogate.outcomes import REWARD
from bo_shaping.surrogate.recommendation import TAILS, Borrowed, Older

_FLAT = 1e-9
"""A surface that varies less correlates with nothing."""


def borrowed(posterior: Posterior, config: StudyConfig) -> Borrowed | None:
    """What older tasks have brought; None if none of them knows the reward."""
    surfaces = older_surfaces(config.related, axes_of(config.search_space), REWARD)
    if surfaces is None:
        return None
    alone = config.model_copy(update={"related": ()})
    values, draws = surfaces(posterior.X), posterior.draws[REWARD]
    n_trials = {task.source: len(task.trials) for task in config.related}
    older = []
    for column, source in enumerate(surfaces.sources):
        correlations = _correlations(values[:, column], draws)
        low, high = np.quantile(correlations, TAILS)
        older.append(Older(source, n_trials[source], float(correlations.mean()), (float(low), float(high))))
    return Borrowed(
        older,
        posterior.processes[REWARD].leave_one_out_error(),
        process_of(posterior.outcomes, REWARD, alone, config.seed).leave_one_out_error(),
    )


def _correlations(surface: NDArray[np.float64], draws: NDArray[np.float64]) -> NDArray[np.float64]:
    """`s` correlations of a surface (`g`) with draws (`s x g`) over the points."""
    here, there = draws - draws.mean(axis=1, keepdims=True), surface - surface.mean()
    norms = np.linalg.norm(here, axis=1) * np.linalg.norm(there)
    return np.asarray((here @ there) / np.maximum(norms, _FLAT))
