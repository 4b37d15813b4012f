"""A study from one file: made whole beside the others, then moved to its place, so that a kill leaves none or all."""

import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

from bo_shaping.config import StudyConfig
from bo_shaping.config.changes import refuse_changes
from bo_shaping.config.inner_loop import DEFAULT_INNER_LOOP
from bo_shaping.errors import ExperimentFileError, StudyExistsError
from bo_shaping.space.arms import from_arm, to_specs
from bo_shaping.storage.lifecycle import create, free_database, move_into_database
from bo_shaping.storage.portable import FinishedTrial, PortableStudy
from bo_shaping.storage.study_folder import StudyFolder
from bo_shaping.storage.trial_folder import Event, Job
from inner_loop.io.atomic_file import sync_folder
from inner_loop.spec import TrialProgress
from inner_loop.spec.task_config import is_function

STAGING = ".importing"
"""Folder among the studies in which a study is put together. What a killed import has left there is cleared away."""


def imported_config(
    file: Path, study: PortableStudy, name: str | None, settings: Sequence[str], allow_change: bool
) -> StudyConfig:
    """The configuration to go on with.

    Args:
        file: Where the study comes from.
        study: What it holds.
        name: Another name.
        settings: Dotted settings, as of `StudyConfig.from_yaml`. Code that the file names is imported only if a setting
            names it, too.
        allow_change: Whether they may make earlier trials incomparable.

    Raises:
        ConfigError: If it is not valid.
        StudyChangedError: If it differs in what matters.
        ExperimentFileError: If it names code that no setting names.
    """
    named = [f"name={name}"] if name is not None else []
    config = StudyConfig.from_data(study.config, [*settings, *named], str(file))
    refuse_changes(study.config | {"name": config.name}, config, allow_change)
    given = {setting.split("=", 1)[0] for setting in settings}
    code = {
        "inner_loop": config.inner_loop if config.inner_loop != DEFAULT_INNER_LOOP else None,
        "task.reward_model": config.task.reward_model if is_function(config.task.reward_model) else None,
        "attribution.parser": config.attribution.parser,
    }
    foreign = [f"--set {key}={value}" for key, value in code.items() if value is not None and key not in given]
    if foreign:
        raise ExperimentFileError(f"{file} names code to import; if you trust it, say so with: {' '.join(foreign)}")
    return config


def import_study(
    study: PortableStudy, config: StudyConfig, root: Path, fill: Callable[[StudyFolder], None] | None = None
) -> StudyFolder:
    """Make the study's folder, journal and database.

    Args:
        study: What to make it of.
        config: Its configuration, with its name.
        root: The folder of studies.
        fill: Puts the folders of its trials into a study; by default, what the study says of them.

    Raises:
        StudyExistsError: If there is a study of that name, or anything else in its place.
        StudyLockedError: If another process imports it now.
        ExperimentFileError: If a trial is not one of the search space.
    """
    folder = StudyFolder((root / config.name).resolve())
    folder.refuse_existing()
    if folder.path.exists():
        raise StudyExistsError(f"{folder.path} is there already and is no study; choose another name with --name.")
    _refuse_other_spaces(study, config)
    staging = StudyFolder((root / STAGING / config.name).resolve())
    if staging.path.exists():
        with staging.driver_lock():
            shutil.rmtree(staging.path)
    if config.storage is not None:
        free_database(folder, config).close()
    # It is whole in its own folder first: a database elsewhere and a folder here cannot appear in one step.
    ledger = create(staging, config.model_copy(update={"storage": None}))
    if fill is not None:
        fill(staging)
    else:
        for trial in study.trials:
            _fill(staging, config, study, trial)
    with ledger.driven():
        for entry in study.entries:
            ledger.write(entry)
    staging.path.rename(folder.path)
    sync_folder(root)
    if not any(staging.path.parent.iterdir()):
        staging.path.parent.rmdir()
    if config.storage is not None:
        move_into_database(folder, config)
    return folder


def _refuse_other_spaces(study: PortableStudy, config: StudyConfig) -> None:
    space = config.search_space
    expected = (set(space.components), set(space.parameters))
    for entry in study.entries:
        for weights, parameters in ((entry.record.weights, entry.record.parameters), from_arm(entry.arm)):
            if (set(weights), set(parameters)) != expected:
                raise ExperimentFileError(f"Trial {entry.record.index} is not of the study's search space.")


def _fill(folder: StudyFolder, config: StudyConfig, study: PortableStudy, finished: FinishedTrial) -> None:
    """Write what a finished trial measured into its folder, as if it had been run there."""
    if not 0 <= finished.index < len(study.entries):
        raise ExperimentFileError(f"There are results of trial {finished.index}, which the study does not have.")
    entry, trial = study.entries[finished.index], folder.trial(finished.index)
    job = Job.of(config.inner_loop, to_specs(config, entry.arm, entry.record.seeds))
    trial.prepare(job)
    if len(finished.results) == len(job.specs):
        trial.write_results(job.token, finished.results)
    for point in finished.curve:
        progress = TrialProgress(step=point.step, n_steps=config.ppo.steps, point=point)
        trial.append_event(Event(replicate=0, n_replicates=len(job.specs), progress=progress))
