"""Compare ways to pay tokens: each tuned with the same number of trials, then trained with the same fresh seeds.

A component whose name ends in `-untuned` is trained at the parameters of the configuration.

A method is tuned by a study of its own, `NAME-METHOD` among the studies; the trainings that judge are in
`NAME.comparison` beside them. Both continue where they were stopped, so that the same command given again ends the
comparison as if nothing had happened.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from statistics import fmean
from typing import Any, NamedTuple

import numpy as np

from bo_shaping.comparison.fresh_trainings import Trained, train
from bo_shaping.comparison.methods import UNTUNED, check_methods, config_of
from bo_shaping.comparison.settings import Setting, jobs_of
from bo_shaping.comparison.statistics import (
    Interval,
    Training,
    interquartile_mean,
    mean,
    paired_difference,
    prob_improvement,
    ratio_of_means,
)
from bo_shaping.config import StudyConfig
from bo_shaping.config.tunable import value_of
from bo_shaping.errors import ConfigError
from bo_shaping.storage.study_folder import StudyFolder, studies_root
from bo_shaping.study import Study
from inner_loop.spec import SPARSE


class Also(NamedTuple):
    """Another measure of a method's trainings than the reward it was trained on."""

    final: Interval
    """At the end, or at the KL budget."""
    at_kl: Interval
    at_kl_difference: Interval | None
    """Less the baseline's, paired by seed; None for the baseline."""


class Row(NamedTuple):
    """What the comparison says of one method; intervals are 95 %, over seeds."""

    method: str
    parameters: dict[str, float]
    """At which it is at its best."""
    weights: dict[str, float]
    held: Interval
    """Mean reward along the training, held from the KL budget on."""
    held_iqm: Interval
    """The same, the interquartile mean."""
    difference: Interval | None
    """`held` less the baseline's, paired by seed; None for the baseline."""
    improves: float | None
    """Probability that a training of it has more `held` than one of the baseline."""
    final: Interval
    kl: float
    """Mean KL at the end, or at the budget."""
    steps: Interval
    """Steps to the baseline's mean final reward, in units of the baseline's."""
    n_there: int
    """Trainings that got there."""
    at_kl: Interval
    at_kl_difference: Interval | None
    at_seconds: Interval
    at_seconds_difference: Interval | None
    seconds: float
    """Mean seconds of training, credit included."""
    also: dict[str, Also]
    """Scores by gold reward models, length and diversity of responses, by name."""


class Comparison(NamedTuple):
    """The rows, and at which KL and after which time they are compared."""

    baseline: str
    n_seeds: int
    n_trials: int
    max_kl: float | None
    goal: float
    """The baseline's mean final reward."""
    equal_kl: float
    """The largest KL that every training has reached."""
    equal_seconds: float
    """The longest time that every training took."""
    rows: list[Row]

    def to_json(self) -> dict[str, Any]:
        """Plain data; null for what one seed does not tell."""
        rows = [
            {**row._asdict(), "also": {name: also._asdict() for name, also in row.also.items()}} for row in self.rows
        ]
        plain: dict[str, Any] = _without_nan({**self._asdict(), "rows": rows})
        return plain


def _without_nan(data: Any) -> Any:
    if isinstance(data, Mapping):
        return {key: _without_nan(value) for key, value in data.items()}
    if isinstance(data, list | tuple):
        return [_without_nan(value) for value in data]
    return None if isinstance(data, float) and math.isnan(data) else data


def compare(
    config: StudyConfig,
    methods: Sequence[str],
    *,
    n_seeds: int,
    n_trials: int,
    split: str = "heldout",
    on_tune: Callable[[Study, int], Callable[[], None]] = lambda study, n_trials: lambda: None,
    on_train: Callable[[int, int], None] = lambda n_done, n_jobs: None,
) -> tuple[Comparison, list[Trained]]:
    """Tune and train every method; see the module.

    Args:
        config: Task, training, and the ranges over which every method is tuned.
        methods: Components, tuned or not, or `learned` for the mixture; `sparse` is the baseline if it is among them, else
            the first.
        n_seeds: Fresh trainings of each.
        n_trials: Trials with which each is tuned.
        split: Which prompts judge.
        on_tune: Called with the study of a method before it runs; what it returns is called at every poll.
        on_train: Called with how many of the fresh trainings have ended, of how many.

    Raises:
        ConfigError: If a method is unknown or cannot be tuned.
        StudyChangedError: If the comparison was begun with another configuration.
        TrainingError: If a fresh training failed.
    """
    check_methods(methods)
    configs = {method: config_of(config, method, n_trials) for method in methods}
    jobs = []
    for method, own in configs.items():
        setting = _untuned(method, own) if method.endswith(UNTUNED) else _tuned(method, own, on_tune)
        judged = own.model_copy(update={"evaluation": config.evaluation})
        jobs.append((setting, jobs_of(judged, setting, n_seeds, split=split)))
    path = comparison_folder(config)
    trained = train(config, path, jobs, on_train)
    max_kl = config.objective.max_kl
    return summarise(trained, config.ppo.steps, max_kl, n_trials), trained


def comparison_folder(config: StudyConfig) -> Path:
    """Where the trainings of a comparison are."""
    return studies_root().resolve() / f"{config.name}.comparison"


def summarise(trained: Sequence[Trained], n_steps: int, max_kl: float | None, n_trials: int) -> Comparison:
    """The comparison from its trainings, those of each method under the same seeds in the same order.

    Raises:
        ConfigError: If there is nothing to compare by: no method moves its policy.
    """
    by_method: dict[str, list[Training]] = {}
    settings: dict[str, Setting] = {}
    for one in trained:
        by_method.setdefault(one.setting.name, []).append(Training.of(one.result, n_steps, max_kl))
        settings[one.setting.name] = one.setting
    baseline = SPARSE if SPARSE in by_method else next(iter(by_method))
    every = [training for own in by_method.values() for training in own]
    goal = fmean(training.final for training in by_method[baseline])
    equal_kl = min(max(height.kl for height in training.curve) for training in every)
    equal_seconds = min(training.seconds for training in every)
    if any(training.curve[-1].step == 0 for training in every):
        raise ConfigError("A training ended before its first step (ppo.steps, stop_at_kl), so nothing can be compared.")
    rows = [
        _row(settings[method], own, by_method[baseline], goal, equal_kl, equal_seconds)
        for method, own in by_method.items()
    ]
    n_seeds = len(by_method[baseline])
    return Comparison(baseline, n_seeds, n_trials, max_kl, goal, equal_kl, equal_seconds, rows)


def _row(
    setting: Setting,
    own: Sequence[Training],
    baseline: Sequence[Training],
    goal: float,
    equal_kl: float,
    equal_seconds: float,
) -> Row:
    def both(of: Callable[[Training], float]) -> tuple[np.ndarray, np.ndarray]:
        return np.array([of(training) for training in own]), np.array([of(training) for training in baseline])

    def difference(ours: np.ndarray, theirs: np.ndarray) -> Interval | None:
        return None if own is baseline else paired_difference(ours, theirs)

    held = both(lambda training: training.held)
    at_kl = both(lambda training: training.reward_at_kl(equal_kl))
    at_seconds = both(lambda training: training.reward_at_seconds(equal_seconds))
    return Row(
        method=setting.name,
        parameters=setting.parameters,
        weights=setting.weights,
        held=mean(held[0]),
        held_iqm=interquartile_mean(held[0]),
        difference=difference(*held),
        improves=None if own is baseline else prob_improvement(*held),
        final=mean(both(lambda training: training.final)[0]),
        kl=fmean(training.kl for training in own),
        steps=ratio_of_means(*both(lambda training: training.steps_to(goal)[0])),
        n_there=sum(training.steps_to(goal)[1] for training in own),
        at_kl=mean(at_kl[0]),
        at_kl_difference=difference(*at_kl),
        at_seconds=mean(at_seconds[0]),
        at_seconds_difference=difference(*at_seconds),
        seconds=fmean(training.seconds for training in own),
        also={name: _also(name, own, baseline, equal_kl) for name in own[0].others},
    )


def _also(name: str, own: Sequence[Training], baseline: Sequence[Training], equal_kl: float) -> Also:
    ours, theirs = (
        np.array([training.others_at_kl(equal_kl)[name] for training in trainings]) for trainings in (own, baseline)
    )
    return Also(
        final=mean(np.array([training.others[name][-1].reward for training in own])),
        at_kl=mean(ours),
        at_kl_difference=None if own is baseline else paired_difference(ours, theirs),
    )


def _untuned(method: str, config: StudyConfig) -> Setting:
    space = config.search_space
    given = {name: value_of(name, config.ppo, config.attribution) for name in space.parameters}
    if off := [name for name, value in given.items() if value is None]:
        raise ConfigError(
            f"ppo.{off[0]} is searched and has no value of its own, so there is no {method}; give it one."
        )
    parameters = {name: value for name, value in given.items() if value is not None}
    weights = dict.fromkeys(space.components, 0.0) | {method.removesuffix(UNTUNED): 1.0}
    return Setting(method, weights, parameters)


def _tuned(method: str, config: StudyConfig, on_tune: Callable[[Study, int], Callable[[], None]]) -> Setting:
    folder = StudyFolder((studies_root() / config.name).resolve())
    study = Study.load(folder.path, config) if folder.config_file.is_file() else Study.launch(config)
    missing = max(config.budget.trials - len(study.folder.records()), 0)
    study.run(missing, on_tune(study, config.budget.trials))
    best = study.best()
    return Setting(method, best.weights, best.parameters)
