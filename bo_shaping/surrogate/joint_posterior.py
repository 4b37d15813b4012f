"""What the trials say about every point of the search space: joint draws of all metrics, and which points are allowed.

Notation: g points that cover the search space, s joint draws of every metric on them, k components. Rewards are in
score units, KL in nats per response. A point is *allowed* if it keeps every constraint of the study; where none does,
those that break them least are.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from bo_shaping.config import SearchSpaceConfig, StudyConfig
from bo_shaping.config.limits import Constraint
from bo_shaping.errors import TooFewTrialsError
from bo_shaping.space import lattice
from bo_shaping.space.arms import PREFIX, Arm, from_arm, to_arm
from bo_shaping.space.encoding import MIN_DISTANCE, axes_of, encode
from bo_shaping.surrogate.gaussian_process import GaussianProcess
from bo_shaping.surrogate.observations import TrialOutcome, finished, rows
from bo_shaping.surrogate.older_surfaces import older_surfaces
from bo_shaping.surrogate.outcomes import KL, REWARD
from bo_shaping.surrogate.violation import violation

if TYPE_CHECKING:
    from ax.core.experiment import Experiment

Array = NDArray[np.float64]

N_DRAWS = 512
MIN_FINISHED = 3
"""Trials with a result that a Gaussian process is fitted to; with fewer there is no recommendation."""
N_NEARBY = 200
"""Points around the best one with which a coarse lattice is refined."""


@dataclass(frozen=True)
class Posterior:
    """Joint posterior of every metric on points that cover the search space; the first is the baseline."""

    space: SearchSpaceConfig
    constraints: list[Constraint]
    outcomes: dict[int, TrialOutcome]
    """Finished trials by index."""
    processes: dict[str, GaussianProcess]
    """By metric."""
    arms: list[Arm]
    """`g` Ax arms."""
    X: Array
    """`g x d`, the arms as points of the unit cube."""
    means: dict[str, Array]
    """`g` posterior means, by metric."""
    draws: dict[str, Array]
    """`s x g` joint draws, by metric."""

    @cached_property
    def excess(self) -> Array:
        """`g`: by how much the means break the constraints."""
        return _excess(self.constraints, self.means)

    @cached_property
    def allowed(self) -> NDArray[np.bool_]:
        """`g`, by posterior means."""
        return _least(self.excess)

    @cached_property
    def allowed_draws(self) -> NDArray[np.bool_]:
        """`s x g`, by each draw."""
        return _least(_excess(self.constraints, self.draws))

    @property
    def mean(self) -> Array:
        """`g` expected rewards."""
        return self.means[REWARD]

    @property
    def weights(self) -> Array:
        """`g x k` mixing weights."""
        return np.array([[arm[PREFIX + name] for name in self.space.components] for arm in self.arms])

    def argmax(self) -> int:
        """The allowed point of highest expected reward."""
        return int(np.where(self.allowed, self.mean, -np.inf).argmax())

    def best_per_draw(self) -> NDArray[np.intp]:
        """`s`: the best allowed point of each draw."""
        return np.where(self.allowed_draws, self.draws[REWARD], -np.inf).argmax(axis=1)

    def points_of(self, component: str) -> NDArray[np.intp]:
        """Points with as much of a component as the search space has, at all training parameters."""
        most = self.space.weight_bounds[component][1]
        return np.flatnonzero(self.weights[:, self.space.components.index(component)] >= most - 1e-9)

    def best_of(self, points: NDArray[np.intp]) -> int:
        """Of some points the allowed one of highest expected reward, or the one that breaks least."""
        allowed = points[self.allowed[points]]
        if not len(allowed):
            return int(points[self.excess[points].argmin()])
        return int(allowed[self.mean[allowed].argmax()])

    def trial_at(self, point: int) -> int | None:
        """The newest finished trial whose arm is (within `MIN_DISTANCE`) this point."""
        near = [index for index, x in self._tried().items() if np.abs(x - self.X[point]).max() <= MIN_DISTANCE]
        return max(near, default=None)

    def nearest_trial(self, point: int) -> int:
        """The finished trial whose arm is nearest to this point."""
        tried = self._tried()
        return min(tried, key=lambda index: float(np.linalg.norm(tried[index] - self.X[point])))

    def point_of_trial(self, index: int) -> int:
        """The point that is the arm of a finished trial."""
        return int(np.abs(self.X - self._tried()[index]).max(axis=1).argmin())

    def _tried(self) -> dict[int, Array]:
        arms = [outcome.arm for outcome in self.outcomes.values()]
        return dict(zip(self.outcomes, encode(axes_of(self.space), arms), strict=True))


def posterior_of(experiment: "Experiment", config: StudyConfig) -> Posterior:
    """The posterior given all finished trials. Equal trials give equal numbers.

    Raises:
        TooFewTrialsError: If fewer than `MIN_FINISHED` trials have a result.
    """
    outcomes = finished(experiment)
    if len(outcomes) < MIN_FINISHED:
        n = len(outcomes)
        raise TooFewTrialsError(
            f"Study {config.name!r} has {n} completed trial{'' if n == 1 else 's'}; a recommendation needs at least "
            f"{MIN_FINISHED}."
        )
    space, constraints = config.search_space, config.objective.limits
    metrics = [REWARD, *_needed(config, outcomes)]
    processes = {metric: process_of(outcomes, metric, config, config.seed + i) for i, metric in enumerate(metrics)}
    baseline = experiment.status_quo.parameters if experiment.status_quo else lattice.covering(space)[0]
    arms = [dict(baseline), *lattice.covering(space), *_tried_arms(outcomes, space)]
    if lattice.is_coarse(space):
        arms += _refined(arms, processes, constraints, space, config.seed)
    X = encode(axes_of(space), arms)
    means = {metric: process.mean(X) for metric, process in processes.items()}
    draws = {metric: process.draws(X, N_DRAWS) for metric, process in processes.items()}
    return Posterior(space, constraints, outcomes, processes, arms, X, means, draws)


def _needed(config: StudyConfig, outcomes: Mapping[int, TrialOutcome]) -> list[str]:
    """The metrics that constraints and the front are about; the KL too if it is known, for whoever reads."""
    needed = config.objective.measures
    if config.objective.pareto or sum(KL in outcome.means for outcome in outcomes.values()) >= MIN_FINISHED:
        needed = [KL, *needed]
    return list(dict.fromkeys(needed))


def process_of(
    outcomes: Mapping[int, TrialOutcome], metric: str, config: StudyConfig, random_seed: int
) -> GaussianProcess:
    """The process of one metric, with what older tasks say of it.

    Raises:
        TooFewTrialsError: If fewer than `MIN_FINISHED` trials have the metric.
    """
    data, axes = rows(outcomes.values(), metric), axes_of(config.search_space)
    if len(data.y) < MIN_FINISHED:
        raise TooFewTrialsError(f"Only {len(data.y)} trials have a {metric}; a recommendation needs {MIN_FINISHED}.")
    older = older_surfaces(config.related, axes, metric)
    return GaussianProcess.of(encode(axes, data.arms), data, older=older, random_seed=random_seed)


def _tried_arms(outcomes: Mapping[int, TrialOutcome], space: SearchSpaceConfig) -> list[Arm]:
    """Arms of finished trials, each once, projected: people may have attached what is a rounding error outside."""
    arms = [to_arm(*from_arm(outcome.arm, space), space) for outcome in outcomes.values()]
    return [arm for i, arm in enumerate(arms) if arm not in arms[:i]]


def _refined(
    arms: list[Arm],
    processes: Mapping[str, GaussianProcess],
    constraints: list[Constraint],
    space: SearchSpaceConfig,
    seed: int,
) -> list[Arm]:
    """Points around the best one, nearer and nearer; rounded to hundredths, which is as finely as weights matter."""
    refined: list[Arm] = []
    candidates = arms
    rng = np.random.default_rng(seed)
    for radius in (0.3, 0.1, 0.03):
        X = encode(axes_of(space), candidates)
        # The baseline is first, so that relative constraints find it there.
        means = {metric: process.mean(X) for metric, process in processes.items()}
        best = candidates[int(np.where(_least(_excess(constraints, means)), means[REWARD], -np.inf).argmax())]
        around = lattice.nearby(space, best, radius, N_NEARBY, rng)
        refined += around
        candidates = [arms[0], best, *around]
    return refined


def _excess(constraints: list[Constraint], values: Mapping[str, Array]) -> Array:
    """By how much points (the last axis, the baseline first) break the constraints."""
    baseline = {metric: value[..., :1] for metric, value in values.items()}
    return violation(constraints, values, baseline) + np.zeros_like(values[REWARD])


def _least(excess: Array) -> NDArray[np.bool_]:
    """True where the excess is 0 or, where it is nowhere, the smallest, along the last axis."""
    return np.asarray(excess <= np.maximum(excess.min(axis=-1, keepdims=True), 0.0))
