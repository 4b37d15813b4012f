"""Compare ways to pay tokens: each tuned with the same number of trials, then trained with the same fresh seeds.

A component whose name ends in `-untuned` is trained at the parameters of the configuration.

A method is tuned by a study of its own, `NAME-METHOD` among the studies; the trainings that judge are in
`NAME.comparison` beside them. Both continue where they were stopped, so that the same command given again ends the
comparison as if nothing had happened.
"""

from collections.abc import Callable, Sequence
from pathlib import Path

from bo_shaping.comparison.fresh_trainings import Trained, train
from bo_shaping.comparison.methods import UNTUNED, check_methods, config_of
from bo_shaping.comparison.settings import Setting, jobs_of
from bo_shaping.comparison.statistics import Training
from bo_shaping.comparison.summary import Comparison, summarise
from bo_shaping.config import StudyConfig
from bo_shaping.config.tunable import value_of
from bo_shaping.errors import ConfigError
from bo_shaping.storage.study_folder import StudyFolder, studies_root
from bo_shaping.study import Study


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
        methods: Components, tuned or not, or `learned` for the mixture; `sparse` is the baseline if it is there, else
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
    n_steps, max_kl = config.ppo.steps, config.objective.max_kl
    by_method: dict[str, list[Training]] = {method: [] for method in configs}
    for one in trained:
        by_method[one.setting.name].append(Training.of(one.result, n_steps, max_kl))
    settings = {setting.name: setting for setting, _ in jobs}
    return summarise(by_method, settings, n_steps=n_steps, max_kl=max_kl, n_trials=n_trials), trained


def comparison_folder(config: StudyConfig) -> Path:
    """Where the trainings of a comparison are."""
    return studies_root().resolve() / f"{config.name}.comparison"


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
