"""From the posterior to a recommendation: the best mixture, how sure that is, and whether more trials would pay."""

import itertools
import math
from typing import TYPE_CHECKING

import numpy as np

from bo_shaping.config import StudyConfig
from bo_shaping.space import lattice
from bo_shaping.space.arms import from_arm, to_arm
from bo_shaping.space.encoding import axes_of, encode
from bo_shaping.surrogate.borrowed import borrowed
from bo_shaping.surrogate.joint_posterior import MIN_FINISHED, Posterior, posterior_of
from bo_shaping.surrogate.leave_one_out import fit_of
from bo_shaping.surrogate.outcomes import KL, REWARD
from bo_shaping.surrogate.recommendation import CREDIBILITY, TAILS, Array, Best, FrontPoint, Group, Surface
from bo_shaping.surrogate.simplest import costs_of_leaving_out, prob_of_face, simplest, what_matters
from bo_shaping.text.wording import describe_value
from inner_loop.spec import SPARSE

if TYPE_CHECKING:
    from ax.core.experiment import Experiment

N_SURFACE_DRAWS = 256
"""Draws kept for plots."""
N_FRONT = 12
"""Most points of a Pareto front that are listed."""

_WIDE = 0.5
"""An interval of a weight that is wider says little."""

_USEFUL = 0.1
"""A correlation between trainings with the same seed that is worth the care."""


def recommend(experiment: "Experiment", config: StudyConfig) -> tuple[Best, Surface]:
    """What the trials say is best, and how sure that is.

    Raises:
        TooFewTrialsError: If too few trials have a result.
    """
    posterior = posterior_of(experiment, config)
    best = recommended_point(posterior, remeasured(experiment))
    best_draws = _numbers(posterior)[posterior.best_per_draw()]
    return _describe(posterior, best, best_draws, config), _surface(posterior, best, best_draws, config)


def should_stop(experiment: "Experiment", config: StudyConfig, n_design: int) -> str | None:
    """Why the study has learned enough (`budget.stop_when_regret_below`), or None if it goes on.

    Args:
        experiment: The trials.
        config: What the study is.
        n_design: Arms of the initial design, which is always run: before it is, the process hardly knows how much the
            arms differ.
    """
    from bo_shaping.surrogate.observations import finished

    threshold = config.budget.stop_when_regret_below
    if threshold is None or len(experiment.trials) <= n_design or len(finished(experiment)) < MIN_FINISHED:
        return None
    posterior = posterior_of(experiment, config)
    regret = _regret(posterior, recommended_point(posterior, remeasured(experiment)))
    if regret >= threshold:
        return None
    return f"the expected regret of the recommendation is {regret:.3g}, below {threshold:g}"


def remeasured(experiment: "Experiment") -> list[int]:
    """Trials of the last part of the budget, which measured what was recommended."""
    return [
        index
        for index, trial in experiment.trials.items()
        if trial.run_metadata.get("origin") in ("recommended", "replicate")
    ]


def recommended_point(posterior: Posterior, remeasured: list[int]) -> int:
    """The allowed point of highest expected reward; after the last part of the budget one that was measured there.

    Whoever deploys a mixture wants to have seen it trained. So as soon as trials have measured what was recommended,
    the best of their arms stays recommended, unless another point is better with 90 % probability.
    """
    best = posterior.argmax()
    measured = np.array(
        sorted({posterior.point_of_trial(index) for index in remeasured if index in posterior.outcomes}), dtype=np.intp
    )
    measured = measured[posterior.allowed[measured]]
    if not len(measured):
        return best
    settled = posterior.best_of(measured)
    prob_better = float((posterior.draws[REWARD][:, best] > posterior.draws[REWARD][:, settled]).mean())
    return best if prob_better >= CREDIBILITY else settled


def _describe(posterior: Posterior, best: int, best_draws: Array, config: StudyConfig) -> Best:
    space = config.search_space
    weights, parameters = from_arm(posterior.arms[best], space)
    low, high = _shortest(best_draws)
    names = [*space.components, *space.ranges]
    prob_better_than = {component: _prob_better(posterior, best, component) for component in space.components}
    mean_low, mean_high = np.quantile(posterior.draws[REWARD][:, best], TAILS)
    correlation = _seed_correlation(posterior)
    groups, is_all_open = _inseparable(best_draws[:, : len(space.components)], space.components)
    return Best(
        weights=weights,
        parameters=parameters,
        interval={name: (float(low[i]), float(high[i])) for i, name in enumerate(names)},
        mean=float(posterior.mean[best]),
        mean_interval=(float(mean_low), float(mean_high)),
        kl=float(posterior.means[KL][best]) if KL in posterior.means else None,
        prob_better_than_sparse=prob_better_than[SPARSE],
        prob_better_than=prob_better_than,
        prob_best=_prob_best(posterior),
        regret=_regret(posterior, best),
        joint=groups,
        front=_front(posterior) if config.objective.pareto else [],
        seed_correlation=None if correlation is None else correlation[0],
        n_trials=len(posterior.outcomes),
        nearest_trial=posterior.nearest_trial(best),
        note=" ".join(
            [*_warnings(posterior, best, groups, is_all_open, config), *_word_on_seeds(posterior, correlation)]
        ),
        reward=config.objective.reward_in_words,
        simplest=simplest(posterior, best),
        leaving_out=costs_of_leaving_out(posterior, best),
        matters=what_matters(posterior),
        prob_face=prob_of_face(posterior, best),
        prob_value=_prob_value(posterior),
        borrowed=borrowed(posterior, config),
    )


def _surface(posterior: Posterior, best: int, best_draws: Array, config: StudyConfig) -> Surface:
    space = config.search_space
    parameters = from_arm(posterior.arms[best], space)[1]
    weights = lattice.surface_weights(space)
    X = encode(axes_of(space), [to_arm(point, parameters, space) for point in weights])
    mean, sd = posterior.processes[REWARD].moments(X)
    return Surface(
        components=list(space.components),
        weights=np.array([list(point.values()) for point in weights]),
        parameters=parameters,
        mean=mean,
        sd=sd,
        kl=posterior.processes[KL].mean(X) if KL in posterior.processes else np.zeros(len(X)),
        # Every so many, because neighbours share their hyper-parameters.
        draws=best_draws[:: max(len(best_draws) // N_SURFACE_DRAWS, 1), : len(space.components)],
        fit=fit_of(posterior.outcomes, posterior.processes[REWARD]),
    )


def _numbers(posterior: Posterior) -> Array:
    """`g x c`: the weights, and the training parameters that have a range."""
    parameters = [[arm[name] for name in posterior.space.ranges] for arm in posterior.arms]
    return np.concatenate([posterior.weights, np.array(parameters).reshape(len(posterior.arms), -1)], axis=1)


def _regret(posterior: Posterior, best: int) -> float:
    """Mean over draws of what the best allowed point gives beyond the recommended one."""
    rewards = posterior.draws[REWARD]
    most = np.where(posterior.allowed_draws, rewards, -np.inf).max(axis=1)
    return float(np.maximum(most - rewards[:, best], 0.0).mean())


def _prob_better(posterior: Posterior, best: int, component: str) -> float | None:
    """P(reward at `best` > reward of a component at the component's own best allowed training parameters).

    None if `best` is that component.
    """
    points = posterior.points_of(component)
    if best in points:
        return None
    # The rival is chosen as `best` was, by expectation. The best of every draw would win by the luck of that draw.
    rival = posterior.best_of(points)
    rewards = posterior.draws[REWARD]
    return float((rewards[:, best] > rewards[:, rival]).mean())


def _prob_best(posterior: Posterior) -> dict[str, float]:
    """P(the best point of all is a component alone), by component."""
    best = posterior.best_per_draw()
    return {
        component: float(np.isin(best, posterior.points_of(component)).mean())
        for component in posterior.space.components
    }


def _prob_value(posterior: Posterior) -> dict[str, dict[str, float]]:
    """P(the best point of all has the value), by training parameter and value."""
    best = [posterior.arms[point] for point in posterior.best_per_draw()]
    return {
        name: {
            describe_value(value, 12): sum(arm[name] == value for arm in best) / len(best) for value in parameter.values
        }
        for name, parameter in posterior.space.choices.items()
    }


def _front(posterior: Posterior) -> list[FrontPoint]:
    """Allowed points that no other beats in both expected reward and expected KL, from least to most KL."""
    kl, reward = posterior.means[KL], posterior.mean
    front: list[int] = []
    for point in np.lexsort((-reward, kl)):
        if posterior.allowed[point] and (not front or reward[point] > reward[front[-1]]):
            front.append(int(point))
    shown = np.unique(np.linspace(0, len(front) - 1, min(len(front), N_FRONT)).round().astype(int))
    points = []
    for point in (front[i] for i in shown):
        weights, parameters = from_arm(posterior.arms[point], posterior.space)
        reward_low, reward_high = np.quantile(posterior.draws[REWARD][:, point], TAILS)
        kl_low, kl_high = np.quantile(posterior.draws[KL][:, point], TAILS)
        points.append(
            FrontPoint(
                weights=weights,
                parameters=parameters,
                mean=float(reward[point]),
                mean_interval=(float(reward_low), float(reward_high)),
                kl=float(kl[point]),
                kl_interval=(float(kl_low), float(kl_high)),
            )
        )
    return points


def _seed_correlation(posterior: Posterior) -> tuple[float, float] | None:
    """The correlation of trainings that share a seed, with its standard deviation.

    None unless there are two seeds that two arms share.
    """
    seeds = [outcome.seeds[0] for outcome in posterior.outcomes.values()]
    if any(len(outcome.seeds) > 1 for outcome in posterior.outcomes.values()):
        seeds = [seed for outcome in posterior.outcomes.values() for seed in outcome.seeds]
    shared = [seed for seed in set(seeds) if seeds.count(seed) > 1]
    return posterior.processes[REWARD].seed_correlation() if len(shared) > 1 else None


def _inseparable(draws: Array, components: tuple[str, ...]) -> tuple[list[Group], bool]:
    """Groups of components whose sum is known much better than its parts; and whether every weight is open.

    Args:
        draws: `s x k` best weights.
        components: Names of the columns.
    """
    low, high = _shortest(draws)
    wide = [i for i, width in enumerate(high - low) if width > _WIDE]
    if len(wide) == len(components) > 2:
        return [], True
    groups: list[Group] = []
    left = list(wide)
    for size in range(2, len(wide) + 1):
        for members in itertools.combinations(wide, size):
            (sum_low,), (sum_high,) = _shortest(draws[:, members].sum(axis=1, keepdims=True))
            if sum_high - sum_low <= _WIDE and set(members) <= set(left):
                groups.append(Group([components[i] for i in members], (float(sum_low), float(sum_high))))
                left = [i for i in left if i not in members]
    return groups, False


def _shortest(draws: Array) -> tuple[Array, Array]:
    """Ends of the shortest intervals that hold 90 % of the draws (`s x c`), `c` each.

    Best weights pile up at 0 and 1, where an interval with equal tails would hold more than it says.
    """
    ordered = np.sort(draws, axis=0)
    n_inside = math.ceil(CREDIBILITY * len(draws))
    first = (ordered[n_inside - 1 :] - ordered[: len(draws) - n_inside + 1]).argmin(axis=0)
    columns = np.arange(draws.shape[1])
    return ordered[first, columns], ordered[first + n_inside - 1, columns]


def _warnings(
    posterior: Posterior, best: int, groups: list[Group], is_all_open: bool, config: StudyConfig
) -> list[str]:
    """A corner, no allowed point, weights that the data do not tell apart."""
    notes: list[str] = []
    weights = from_arm(posterior.arms[best], config.search_space)[0]
    pure = [name for name, weight in weights.items() if weight == 1.0]
    if pure:
        notes.append(f"The recommendation is pure {pure[0]}, so it cannot be better than {pure[0]}.")
    if not (posterior.excess <= 0).any():
        budget = config.objective.max_kl
        if len(posterior.constraints) == 1 and budget is not None:
            notes.append(f"No point is expected to keep the KL within {budget:g}; this is the one of least KL.")
        else:
            broken = ", ".join(str(constraint) for constraint in config.objective.limits)
            notes.append(f"No point is expected to keep all of {broken}; this is the one that breaks them least.")
    if is_all_open:
        notes.append("The weights cannot be told apart yet: every interval is wide; run more trials.")
    for group in groups:
        low, high = group.total
        names = f"{', '.join(group.components[:-1])} and {group.components[-1]}"
        # Of all components together it is 1, which nobody has to be told.
        total = "" if round(low, 2) == 1.0 else f"; their sum is between {low:.2f} and {high:.2f}"
        notes.append(f"{names} cannot be told apart yet{total}.")
    return notes


def _word_on_seeds(posterior: Posterior, correlation: tuple[float, float] | None) -> list[str]:
    """Noise that nobody measured, or whether common seeds help."""
    if len({seed for outcome in posterior.outcomes.values() for seed in outcome.seeds}) == 1:
        return ["With one seed per arm the variance between training seeds is in none of these numbers."]
    if correlation is None:
        return []
    mean, sd = correlation
    verdict = "help" if mean > max(2 * sd, _USEFUL) else "may or may not help"
    return [
        f"Trainings that share a seed correlate by {mean:.2f} (give or take {sd:.2f}): common seeds {verdict} to "
        "compare arms."
    ]
