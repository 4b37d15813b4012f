"""The last part of the budget (`budget.replicate_last`): measuring again what the study will say.

First the recommended arm, with the usual seeds, if no trial has run it. Then rounds with seeds of their own: the
recommended arm, sparse at its best, and the runner-up, all with the same fresh seed, so that they can be compared
as pairs and the luck of the usual seeds is not taken for merit. A round is decided on when nothing else is running,
because a result that is still to come may change what is recommended.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from ax.core.base_trial import BaseTrial
from ax.core.experiment import Experiment
from ax.core.trial_status import TrialStatus

from bo_shaping.config import StudyConfig
from bo_shaping.generation.design import initial_design
from bo_shaping.space.arms import PREFIX, Arm
from bo_shaping.space.encoding import MIN_DISTANCE, axes_of, encode
from bo_shaping.surrogate.joint_posterior import MIN_FINISHED, Posterior, posterior_of
from bo_shaping.surrogate.observations import finished
from bo_shaping.surrogate.recommend import recommended_point, remeasured
from inner_loop.spec import SPARSE

ROUND = 3
"""Arms of a round: recommended, sparse, runner-up."""


@dataclass(frozen=True)
class Proposal:
    """What to run next, and why."""

    arm: Arm
    seeds: list[int]
    origin: str


def usual_seeds(config: StudyConfig, index: int) -> list[int]:
    """The seeds of trial `index`, one per replicate: a rotation through the fixed set that all arms share."""
    replicates, n_seeds = config.noise.replicates, max(config.noise.seeds, config.noise.replicates)
    first = index if config.noise.seeds > replicates else 0
    return [config.seed + (first + replicate) % n_seeds for replicate in range(replicates)]


def is_replicating(config: StudyConfig, index: int) -> bool:
    """Whether trial `index` belongs to the last part of the budget."""
    trials = config.budget.trials
    return trials - config.budget.n_replicate_last <= index < trials


def must_wait(experiment: Experiment, config: StudyConfig) -> bool:
    """Whether the next trial should not be proposed before those that run have ended.

    Trials that somebody else evaluates (`asked` in their `run_metadata`) are not waited for.
    """
    index = len(experiment.trials)
    if not is_replicating(config, index) or index < len(initial_design(config)):
        return False
    running = {i for i, trial in experiment.trials.items() if trial.status == TrialStatus.RUNNING}
    if len(finished(experiment)) + len(running) < MIN_FINISHED:
        return False  # there will be nothing to recommend
    members = {member.index for member in _open_round(experiment, config)}
    return any(not experiment.trials[i].run_metadata.get("asked") for i in running - members)


def next_replicate(experiment: Experiment, config: StudyConfig) -> Proposal | None:
    """The next trial of the last part of the budget; None if this is not it, or too little is known."""
    index = len(experiment.trials)
    if not is_replicating(config, index) or len(finished(experiment)) < MIN_FINISHED:
        return None
    posterior = posterior_of(experiment, config)
    leader = recommended_point(posterior, remeasured(experiment))
    members = _open_round(experiment, config)
    if members:
        arm = _next_of_round(posterior, leader, members)
        if arm is not None:
            return Proposal(arm, [int(seed) for seed in members[0].run_metadata["seeds"]], "replicate")
    else:
        usual = usual_seeds(config, index)
        is_first = not remeasured(experiment)
        is_last = index == config.budget.trials - 1
        # One trial alone with a seed of its own could not be compared with anything.
        for point in (leader, *([_sparse(posterior)] if is_last else [])):
            if (is_first or is_last) and posterior.trial_at(point) is None:
                return Proposal(dict(posterior.arms[point]), usual, "recommended" if point == leader else "replicate")
    return Proposal(dict(posterior.arms[leader]), _fresh_seeds(experiment, config), "replicate")


def _open_round(experiment: Experiment, config: StudyConfig) -> list[BaseTrial]:
    """The trials of the last round with fresh seeds if it still lacks members, else none."""
    fresh = [trial for trial in experiment.trials.values() if _seed_of(trial) >= _first_fresh(config)]
    if not fresh:
        return []
    members = [trial for trial in fresh if _seed_of(trial) == _seed_of(fresh[-1])]
    return members if len(members) < ROUND else []


def _next_of_round(posterior: Posterior, leader: int, members: list[BaseTrial]) -> Arm | None:
    """Sparse at its best, then the best other arms that were run; None if there is none that the round lacks."""
    taken = encode(axes_of(posterior.space), [trial.arm.parameters for trial in members])
    pure = set(posterior.points_of(SPARSE).tolist())
    first = [] if any(_is_sparse(posterior, trial) for trial in members) else [_sparse(posterior)]
    for point in (*first, leader, *(point for point in _runners_up(posterior) if point not in pure)):
        if np.abs(taken - posterior.X[point]).max(axis=1).min() > MIN_DISTANCE:
            return dict(posterior.arms[point])
    return None


def _is_sparse(posterior: Posterior, trial: BaseTrial) -> bool:
    most = posterior.space.weight_bounds[SPARSE][1]
    return bool(trial.arm.parameters[PREFIX + SPARSE] >= most - MIN_DISTANCE)


def _sparse(posterior: Posterior) -> int:
    return posterior.best_of(posterior.points_of(SPARSE))


def _runners_up(posterior: Posterior) -> Iterator[int]:
    """Allowed arms that were run, the best expected reward first."""
    points = {posterior.point_of_trial(index) for index in posterior.outcomes}
    yield from sorted((p for p in points if posterior.allowed[p]), key=lambda p: (-posterior.mean[p], p))


def _first_fresh(config: StudyConfig) -> int:
    return config.seed + max(config.noise.seeds, config.noise.replicates)


def _fresh_seeds(experiment: Experiment, config: StudyConfig) -> list[int]:
    used = [int(seed) for trial in experiment.trials.values() for seed in trial.run_metadata.get("seeds", [])]
    first = max([_first_fresh(config), *(seed + 1 for seed in used)])
    return list(range(first, first + config.noise.replicates))


def _seed_of(trial: BaseTrial) -> int:
    return int(min(trial.run_metadata.get("seeds", [0])))
