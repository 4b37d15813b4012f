"""Settings of a study that are worth a training of their own, and the trainings that judge them."""

import hashlib
from collections.abc import Sequence
from typing import NamedTuple

from bo_shaping.config import StudyConfig
from bo_shaping.config.searched_parameter import Value
from bo_shaping.errors import TrainingError
from bo_shaping.running.trainings import FIRST_FRESH_SEED
from bo_shaping.space.arms import to_arm, to_specs
from bo_shaping.storage.best_sparse import best_sparse
from bo_shaping.storage.records import TrialRecord
from bo_shaping.storage.trial_folder import Job
from bo_shaping.surrogate.recommendation import Best
from inner_loop.spec import SPARSE


class Setting(NamedTuple):
    """Mixing weights and training parameters, with a name for people."""

    name: str
    weights: dict[str, float]
    parameters: dict[str, Value]


def recommended(best: Best) -> Setting:
    """What a study recommends."""
    return Setting("recommended", best.weights, best.parameters)


def of_trial(records: Sequence[TrialRecord], index: int) -> Setting:
    """The arm of a trial.

    Raises:
        TrainingError: If there is no such trial.
    """
    if index >= len(records):
        raise TrainingError(f"There is no trial {index}; the study has {len(records)}, counted from 0.")
    return Setting(f"trial-{index}", records[index].weights, records[index].parameters)


def sparse_at_its_best(records: Sequence[TrialRecord]) -> Setting:
    """Sparse at its own best parameters among the trials.

    Raises:
        TrainingError: If no trial of sparse alone is completed.
    """
    trials = best_sparse(records)
    if not trials:
        raise TrainingError("No trial of this study has sparse alone, so there is nothing to train beside it.")
    return Setting(SPARSE, {SPARSE: 1.0}, trials[0].parameters)


def jobs_of(
    config: StudyConfig,
    setting: Setting,
    n_seeds: int,
    *,
    split: str,
    steps: int | None = None,
    keeps_policy: bool = False,
) -> dict[str, Job]:
    """One training per fresh seed, by the name of its folder: the setting's, and what tells it from another like it.

    Args:
        config: The study's.
        setting: What is trained.
        n_seeds: Seeds, from `FIRST_FRESH_SEED` on, the same for every setting.
        split: Which prompts the policy is judged on.
        steps: PPO steps; None for those of the study.
        keeps_policy: Whether the policies are saved.
    """
    weights = dict.fromkeys(config.search_space.components, 0.0) | setting.weights
    arm = to_arm(weights, setting.parameters, config.search_space)
    seeds = range(FIRST_FRESH_SEED, FIRST_FRESH_SEED + n_seeds)
    evaluation = config.evaluation.model_copy(update={"split": split})
    jobs = {}
    for seed, spec in zip(seeds, to_specs(config, arm, list(seeds)), strict=True):
        ppo = spec.ppo if steps is None else spec.ppo.model_copy(update={"steps": steps})
        changed = spec.model_copy(update={"evaluation": evaluation, "ppo": ppo})
        # The recommendation of a study changes as it goes on: what was trained before is not overwritten.
        same = changed.model_copy(update={"seed": 0}).model_dump_json()
        digest = hashlib.sha256(same.encode()).hexdigest()[:6]
        name = f"{setting.name}-{digest}-seed-{seed}"
        jobs[name] = Job.of(config.inner_loop, [changed], keeps_policy=keeps_policy)
    return jobs
