"""What the Gaussian process knows about the best mixing weights: a recommendation with its uncertainty.

Notation: g points of a grid over simplex x box, s joint draws of (reward, kl) on it, k components.
Rewards are in score units, KL in nats per response. A point is *allowed* if its KL is within the budget.
"""

import itertools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from bo_shaping.config import ParameterRange, StudyConfig
from bo_shaping.errors import TooFewTrialsError
from bo_shaping.recommendation import CREDIBILITY, Array, Best, Surface
from bo_shaping.search_space import from_arm, to_arm
from inner_loop.components import SPARSE

if TYPE_CHECKING:
    from ax.core.experiment import Experiment

__all__ = ["Best", "Surface", "grid", "recommend"]

N_DRAWS = 512
N_SURFACE_DRAWS = 256
"""Draws kept for plots."""

# Lattice steps per weight and levels per training parameter, by the number of training parameters: about 2,000 points,
# whose joint covariance is factorised in about a second.
_GRID = {0: (20, 1), 1: (20, 9), 2: (10, 5), 3: (10, 3)}

_WIDE = 0.5
"""An interval of a weight that is wider says little."""


@dataclass(frozen=True)
class _Posterior:
    """Joint posterior of both metrics on a grid of arms."""

    arms: list[dict[str, float]]
    mean: Array
    """`g`"""
    sd: Array
    """`g`"""
    kl: Array
    """`g`"""
    mean_draws: Array
    """`s x g`"""
    kl_draws: Array
    """`s x g`"""


def recommend(experiment: "Experiment", config: StudyConfig) -> tuple[Best, Surface]:
    """Fit the Gaussian process to all completed trials and say what it knows.

    Raises:
        TooFewTrialsError: If fewer than `generation.MIN_COMPLETED` trials are completed.
    """
    from ax.core.trial_status import TrialStatus

    from bo_shaping.generation import MIN_COMPLETED, one_thread

    completed = {i: t.arm.parameters for i, t in experiment.trials.items() if t.status == TrialStatus.COMPLETED}
    if len(completed) < MIN_COMPLETED:
        raise TooFewTrialsError(
            f"Study {config.name!r} has {len(completed)} completed trials; a recommendation needs at least "
            f"{MIN_COMPLETED}."
        )
    with one_thread(seed=config.seed):
        posterior = _evaluate(experiment, grid(config))
    return _summarise(posterior, completed, config)


def grid(config: StudyConfig) -> list[dict[str, float]]:
    """Arms on a lattice over simplex x box; the corners of the simplex are on it."""
    space = config.search_space
    steps, levels = _GRID[len(space.parameters)]
    axes = [_levels(parameter, levels) for parameter in space.parameters.values()]
    arms = []
    for counts in itertools.product(range(steps + 1), repeat=len(space.components) - 1):
        if (rest := steps - sum(counts)) >= 0:
            weights = dict(zip(space.components, (*counts, rest), strict=True))
            for values in itertools.product(*axes):
                arms.append(to_arm(weights, dict(zip(space.parameters, values, strict=True))))
    return arms


def _levels(parameter: ParameterRange, n: int) -> list[float]:
    values = np.geomspace(*parameter.bounds, n) if parameter.log else np.linspace(*parameter.bounds, n)
    # geomspace may step over a bound by one rounding error.
    return [float(value) for value in np.clip(values, *parameter.bounds)]


def _evaluate(experiment: "Experiment", arms: list[dict[str, float]]) -> _Posterior:
    """Posterior moments and joint draws of both metrics on the grid, in natural units."""
    import torch
    from ax.adapter.transforms.standardize_y import StandardizeY
    from ax.core.observation import ObservationFeatures

    from bo_shaping.generation import KL, REWARD, fit

    adapter = fit(experiment)
    X = adapter.transform_observation_features([ObservationFeatures(parameters=arm) for arm in arms])
    scale = adapter.transforms[StandardizeY.__name__]
    surrogate = adapter.generator.surrogate
    with torch.no_grad():
        posterior = surrogate.model.posterior(X)
        mean, variance = posterior.mean.numpy(), posterior.variance.numpy()
        draws = posterior.rsample(torch.Size([N_DRAWS])).numpy()
    reward, kl = (surrogate.outcomes.index(name) for name in (REWARD, KL))

    def natural(values: Array, name: str) -> Array:
        return np.asarray(values * scale.Ystd[name] + scale.Ymean[name])

    return _Posterior(
        arms=arms,
        mean=natural(mean[:, reward], REWARD),
        sd=np.sqrt(variance[:, reward]) * scale.Ystd[REWARD],
        kl=natural(mean[:, kl], KL),
        mean_draws=natural(draws[..., reward], REWARD),
        kl_draws=natural(draws[..., kl], KL),
    )


def _summarise(
    posterior: _Posterior, completed: Mapping[int, dict[str, float]], config: StudyConfig
) -> tuple[Best, Surface]:
    space, budget = config.search_space, config.objective.max_kl
    names = list(posterior.arms[0])
    points = np.array([[arm[name] for name in names] for arm in posterior.arms])
    n_components = len(space.components)
    allowed = _allowed(posterior.kl, budget)
    best = int(np.where(allowed, posterior.mean, -np.inf).argmax())
    weights, parameters = from_arm(posterior.arms[best])
    tail = (1 - CREDIBILITY) / 2

    best_per_draw = np.where(_allowed(posterior.kl_draws, budget), posterior.mean_draws, -np.inf).argmax(axis=1)
    best_draws = points[best_per_draw]
    low, high = np.quantile(best_draws, [tail, 1 - tail], axis=0)
    interval = {name: (float(low[i]), float(high[i])) for i, name in enumerate([*space.components, *space.parameters])}
    prob_better_than = {
        component: _prob_better(posterior, best, points[:, i] == 1.0, allowed)
        for i, component in enumerate(space.components)
    }
    mean_low, mean_high = np.quantile(posterior.mean_draws[:, best], [tail, 1 - tail])
    result = Best(
        weights=weights,
        parameters=parameters,
        interval=interval,
        mean=float(posterior.mean[best]),
        mean_interval=(float(mean_low), float(mean_high)),
        kl=float(posterior.kl[best]),
        prob_better_than_sparse=prob_better_than[SPARSE],
        prob_better_than=prob_better_than,
        n_trials=len(completed),
        nearest_trial=_nearest(points, best, names, completed),
        note=_note(weights, best_draws[:, :n_components], posterior.kl, config),
    )
    here = np.all(points[:, n_components:] == points[best, n_components:], axis=1)
    surface = Surface(
        components=list(space.components),
        weights=points[here, :n_components],
        parameters=parameters,
        mean=posterior.mean[here],
        sd=posterior.sd[here],
        kl=posterior.kl[here],
        draws=best_draws[:N_SURFACE_DRAWS, :n_components],
    )
    return result, surface


def _allowed(kl: Array, budget: float | None) -> NDArray[np.bool_]:
    """Points within the KL budget along the last axis; where there are none, those of least KL."""
    if budget is None:
        return np.ones_like(kl, dtype=bool)
    within = kl <= budget
    return np.asarray(within | (~within.any(axis=-1, keepdims=True) & (kl == kl.min(axis=-1, keepdims=True))))


def _prob_better(posterior: _Posterior, best: int, corner: NDArray[np.bool_], allowed: NDArray[np.bool_]) -> float:
    """P(reward at `best` > reward of a corner at the corner's own best allowed training parameters)."""
    # The corner is judged by the rule that chose `best`: its expected KL must be within the budget.
    rivals = np.flatnonzero(corner & allowed)
    if not len(rivals):
        own = np.flatnonzero(corner)
        rivals = own[[posterior.kl[own].argmin()]]
    return float((posterior.mean_draws[:, best] > posterior.mean_draws[:, rivals].max(axis=1)).mean())


def _nearest(points: Array, best: int, names: list[str], completed: Mapping[int, dict[str, float]]) -> int:
    width = np.ptp(points, axis=0)
    distance = {
        index: float(np.linalg.norm((np.array([arm[name] for name in names]) - points[best]) / width))
        for index, arm in completed.items()
    }
    return min(distance, key=lambda index: distance[index])


def _note(weights: dict[str, float], draws: Array, kl: Array, config: StudyConfig) -> str:
    """Warnings: a corner, no allowed point, weights that the data do not tell apart, noise that nobody measured."""
    notes, components, budget = [], list(weights), config.objective.max_kl
    pure = [name for name, weight in weights.items() if weight == 1.0]
    if pure:
        notes.append(f"The recommendation is pure {pure[0]}, so it cannot be better than {pure[0]}.")
    if budget is not None and not (kl <= budget).any():
        notes.append(f"No point is expected to keep the KL within {budget:g}; this is the one of least KL.")
    low, high = np.quantile(draws, [(1 - CREDIBILITY) / 2, (1 + CREDIBILITY) / 2], axis=0)
    wide = [i for i, width in enumerate(high - low) if width > _WIDE]
    if len(wide) == len(components):
        notes.append("The weights cannot be told apart yet: every interval is wide; run more trials.")
    elif len(wide) == 2:
        a, b = wide
        total = np.quantile(draws[:, a] + draws[:, b], [(1 - CREDIBILITY) / 2, (1 + CREDIBILITY) / 2])
        notes.append(
            f"{components[a]} and {components[b]} cannot be told apart yet; their sum is between {total[0]:.2f} and "
            f"{total[1]:.2f}."
        )
    if config.noise.replicates == 1:
        notes.append("With one seed per arm the variance between training seeds is in none of these numbers.")
    return " ".join(notes)
