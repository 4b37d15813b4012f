"""What older tasks say of this one: the surface of each, learned from its trials, is an input of the study's process.

A surface is the posterior mean of its own process, in units of the spread of its own outcomes. Where the older trials
say little it is flat, so it can mislead little. How far it is like the surface of this study is a slope that the trials
of this study decide on; see `gaussian_process`. Notation as there.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from bo_shaping.config import RelatedTask, SearchSpaceConfig, StudyConfig
from bo_shaping.config.limits import Constraint
from bo_shaping.config.related import MIN_TRIALS
from bo_shaping.space import lattice
from bo_shaping.space.arms import PREFIX, Arm, to_arm
from bo_shaping.space.encoding import Axes, axes_of, encode
from bo_shaping.surrogate.gaussian_process import GaussianProcess
from bo_shaping.surrogate.outcomes import REWARD
from bo_shaping.surrogate.violation import violation

Array = NDArray[np.float64]

N_HYPER = 8
"""Hyper-parameter draws behind a surface: its mean needs fewer than an interval does."""


@dataclass(frozen=True)
class OlderSurfaces:
    """The surfaces of one metric, `q` in all."""

    sources: list[str]
    processes: list[GaussianProcess]

    def __call__(self, X: Array) -> Array:
        """`g x q` values at `g x d` points."""
        return np.stack([process.standardised_mean(X) for process in self.processes], axis=1)


def older_surfaces(related: Sequence[RelatedTask], axes: Axes, metric: str) -> OlderSurfaces | None:
    """The surfaces of a metric, of the tasks that know it; None if none does.

    Args:
        related: The older tasks.
        axes: Coordinates of the points, as of `axes_of`.
        metric: Which outcome.
    """
    sources, processes = [], []
    for task in related:
        trials = [trial for trial in task.trials if metric in trial.outcomes]
        if len(trials) < MIN_TRIALS:
            continue
        arms = [
            {**{f"{PREFIX}{name}": weight for name, weight in trial.weights.items()}, **trial.parameters}
            for trial in trials
        ]
        sources.append(task.source)
        processes.append(
            _process(
                tuple(map(tuple, encode(axes, arms).tolist())),
                tuple(trial.outcomes[metric] for trial in trials),
                tuple(trial.seeds for trial in trials),
            )
        )
    return OlderSurfaces(sources, processes) if processes else None


def older_best(config: StudyConfig) -> list[Arm]:
    """For each older task the arm that would be best there, as far as its trials say, within this study's limits."""
    space = config.search_space
    arms = lattice.covering(space)
    X = encode(axes_of(space), arms)
    best = []
    for task in config.related:
        tried = [to_arm(trial.weights, trial.parameters, space) for trial in task.trials]
        points = np.concatenate([X, encode(axes_of(space), tried)])
        rewards = _mean(task, space, REWARD, points)
        if rewards is not None:
            excess = _excess(task, space, config.objective.limits, points)
            reachable = excess <= max(float(excess.min()), 0.0)
            best.append([*arms, *tried][int(np.where(reachable, rewards, -np.inf).argmax())])
    return best


def _excess(task: RelatedTask, space: SearchSpaceConfig, limits: Sequence[Constraint], points: Array) -> Array:
    """`g`: by how much the limits are broken that the older trials say something about."""
    values = {metric: _mean(task, space, metric, points) for metric in {limit.metric for limit in limits}}
    known = {metric: value for metric, value in values.items() if value is not None}
    told = [limit for limit in limits if limit.metric in known and not limit.relative]
    return violation(told, known, known) + np.zeros(len(points))


def _mean(task: RelatedTask, space: SearchSpaceConfig, metric: str, points: Array) -> Array | None:
    surfaces = older_surfaces([task], axes_of(space), metric)
    return None if surfaces is None else surfaces.processes[0].mean(points)


@lru_cache(maxsize=32)
def _process(
    points: tuple[tuple[float, ...], ...], outcomes: tuple[float, ...], seeds: tuple[tuple[int, ...], ...]
) -> GaussianProcess:
    """The process of older trials; they never change, and it is asked for at every proposal."""
    return GaussianProcess(
        np.array(points),
        np.array(outcomes),
        [own[0] for own in seeds],
        n_trainings=np.array([len(own) for own in seeds]),
        n_hyper=N_HYPER,
    )
