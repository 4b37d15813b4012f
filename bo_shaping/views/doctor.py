"""What can be wrong with an installation or a study, found by looking; each problem comes with its remedy."""

import platform
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from packaging.requirements import Requirement

from bo_shaping.config import StudyConfig
from bo_shaping.config.inner_loop import check_inner_loop, trains_the_task
from bo_shaping.errors import BoShapingError, StorageError, TrialResultError
from bo_shaping.storage.lease import STALE_SECONDS
from bo_shaping.storage.lease_holder import Holder
from bo_shaping.storage.lock_check import what_is_wrong_with_locks
from bo_shaping.storage.study_folder import StudyFolder, studies_root
from bo_shaping.storage.trial_folder import TrialFolder
from bo_shaping.text.passwords import without_password
from bo_shaping.text.reasons import sentence_of
from bo_shaping.views.status import study_status
from bo_shaping.views.unread import unread_of_study
from inner_loop.errors import InnerLoopError

PACKAGE = "bo-shaping"
SHOWN = ("ax-platform", "botorch", "torch", "transformers", "SQLAlchemy")
"""Packages whose versions are worth seeing."""

MIN_FREE_BYTES = 500_000_000
"""With less free space a study may fail to save."""


@dataclass(frozen=True)
class Finding:
    """What one check found."""

    check: str
    is_ok: bool
    text: str
    remedy: str = ""
    """What to do about it; empty if there is nothing to do."""


_Check = tuple[str, Callable[[], Iterator[Finding]]]


def examine(folder: StudyFolder | None = None) -> list[Finding]:
    """Examine the installation and, if there is one, a study. Changes nothing.

    A study whose files are damaged is still examined as far as it can be read.
    """
    checks: list[_Check] = [("installation", _installation)]
    if folder is None:
        checks += [
            ("disk", lambda: disk(studies_root(), 0)),
            ("models", lambda: _models(StudyConfig(name="default"))),
        ]
    else:
        checks += [
            ("trials", lambda: _trials(folder)),
            ("components", lambda: _components(folder)),
            ("reward model", lambda: _unread(folder)),
            ("workers", lambda: _workers(folder)),
            ("locks", lambda: _locks(folder.path)),
            ("disk", lambda: disk(folder.path, _bytes_to_come(folder))),
            ("storage", lambda: _storage(folder)),
            ("models", lambda: _models(folder.config())),
        ]
    findings: list[Finding] = []
    for name, check in checks:
        try:
            findings += check()
        except (BoShapingError, InnerLoopError, OSError) as error:
            # Errors of ours name the remedy.
            findings.append(Finding(name, False, sentence_of(error)))
    return findings


def _installation() -> Iterator[Finding]:
    try:
        requirements = [Requirement(text) for text in metadata.requires(PACKAGE) or []]
    except metadata.PackageNotFoundError:
        yield Finding("installation", False, f"{PACKAGE} is not installed", "in its folder: make install")
        return
    needed = [r for r in requirements if r.marker is None or r.marker.evaluate({"extra": ""})]
    wrong = [(requirement, version) for requirement in needed if (version := _unmet(requirement)) is not None]
    for requirement, version in wrong:
        text = f"{requirement.name} {version} is installed, {requirement.specifier} is needed"
        yield Finding("installation", False, text, f"pip install '{requirement}'")
    if not wrong:
        versions = ", ".join(f"{name} {metadata.version(name)}" for name in SHOWN)
        yield Finding("installation", True, f"Python {platform.python_version()}, {versions}")


def _unmet(requirement: Requirement) -> str | None:
    """The version that is there instead of the one that is needed, or None if all is well."""
    try:
        version = metadata.version(requirement.name)
    except metadata.PackageNotFoundError:
        return "(no version)"
    return None if requirement.specifier.contains(version, prereleases=True) else version


def _trials(folder: StudyFolder) -> Iterator[Finding]:
    status = study_status(folder)
    yield Finding("trials", True, status.standing(), status.way_on)
    known = {trial.record.index for trial in status.trials}
    for trial in status.trials:
        if trial.record.status == "completed":
            yield from _result(folder.trial(trial.record.index))
    for path in sorted((folder.path / "trials").glob("*/")):
        if not (path.name.isdecimal() and int(path.name) in known):
            text = f"{path} belongs to no trial of the study"
            yield Finding("trials", False, text, "remove it, unless you know what it is")


def _result(trial: TrialFolder) -> Iterator[Finding]:
    """Whether the files of a completed trial, which reports are made from, can still be read."""
    if trial.has_result():
        try:
            trial.results()
        except TrialResultError as error:
            text = f"{error}: reports lack the curve and the responses of this trial, whose outcome is in the journal"
            yield Finding("trials", False, text, f"rm {trial.path / 'result.json'}")


def _components(folder: StudyFolder) -> Iterator[Finding]:
    """Whether components pay so much alike that no training can tell them apart."""
    similarity = folder.credit_similarity()
    if similarity is None:
        yield Finding("components", True, "how alike they pay is known once a trial has explained responses")
        return
    superfluous = similarity.superfluous()
    for first, second, value in superfluous:
        text = f"{second} pays as {first} does: their credit correlates by {value:.2f} within a response"
        yield Finding("components", False, text, f"in another study, leave {second} out of search_space.components")
    if not superfluous:
        yield Finding("components", True, f"{', '.join(similarity.components)} pay differently")


def _workers(folder: StudyFolder) -> Iterator[Finding]:
    """Processes that work on a trial which nobody waits for."""
    n_working = 0
    for trial in study_status(folder).trials:
        worker = folder.trial(trial.record.index).worker()
        if worker is None:
            continue
        n_working += 1
        if trial.record.status != "running":
            text = f"process {worker.pid} still works on trial {trial.record.index}, which is {trial.status}"
            yield Finding("workers", False, text, f"kill {worker.pid}")
    yield Finding("workers", True, f"{n_working} at work" if n_working else "none at work")


def _bytes_to_come(folder: StudyFolder) -> int:
    """What the rest of the budget will take, if trials stay as large as they were."""
    n_trials, budget = len(folder.records()), folder.config().budget.trials
    size = sum(file.stat().st_size for file in (folder.path / "trials").glob("**/*") if file.is_file())
    return size // max(n_trials, 1) * max(budget - n_trials, 0)


def _locks(path: Path) -> Iterator[Finding]:
    """Whether the file system keeps locks, by which drivers and workers are told from dead ones."""
    problem = what_is_wrong_with_locks(path)
    if problem is None:
        yield Finding("locks", True, "one process's lock on a file is refused to another")
    else:
        yield Finding("locks", False, problem, "move the studies to another file system")


def disk(path: Path, needed: int) -> Iterator[Finding]:
    """Whether so many bytes, and some to spare, are free where a path is or would be."""
    there = next(parent for parent in (path.absolute(), *path.absolute().parents) if parent.exists())
    free, needed = shutil.disk_usage(there).free, max(needed, MIN_FREE_BYTES)
    text = f"{free / 1e9:.1f} GB free in {there}"
    if free < needed:
        yield Finding("disk", False, f"{text}; {needed / 1e9:.1f} GB may be needed", "free some space")
    else:
        yield Finding("disk", True, text)


def _models(config: StudyConfig) -> Iterator[Finding]:
    """Policy, reward model and prompts, loaded as the first trial would load them."""
    remarks = check_inner_loop(config.inner_loop, config.task, config.evaluation, config.ppo)
    task = config.task
    text = f"policy {task.policy}, reward model {task.reward_model} and prompts {task.prompts} can be loaded"
    if not trains_the_task(config.inner_loop):
        text = f"the inner loop {config.inner_loop} can be imported"
    yield Finding("models", True, text)
    for remark in remarks:
        yield Finding("models", True, remark)


def _unread(folder: StudyFolder) -> Iterator[Finding]:
    """Whether the reward model had room for the responses."""
    note = unread_of_study(folder.first_results(), folder.config().task.long_responses)
    if note:
        yield Finding("reward model", True, note)


def _storage(folder: StudyFolder) -> Iterator[Finding]:
    """Whether database and journal tell the same story, and who holds the lease on it."""
    from bo_shaping.storage.lifecycle import open_database
    from bo_shaping.storage.recovery import bring_in_line

    config, place = folder.config(), without_password(folder.storage)
    rebuild = f"bo-shaping resume {folder.handle} --rebuild"
    if config.storage is None and not folder.database_file.exists():
        yield Finding("storage", False, f"{folder.database_file} is missing", rebuild)
        return
    database, entries = open_database(folder, config), folder.journal.entries()
    experiment = database.load(config.name)
    try:
        behind = sorted(trial.index for trial in bring_in_line(experiment, entries))
    except StorageError as error:
        yield Finding("storage", False, str(error), rebuild)
        return
    if behind and folder.driver() is None:
        text = f"trials {', '.join(map(str, behind))} in {place} are behind the journal"
        yield Finding("storage", False, text, f"bo-shaping resume {folder.handle} --trials 0")
    else:
        yield Finding("storage", True, f"{len(entries)} trials in the journal and in {place}")
    yield _lease(folder, database.lease(config.name, str(folder.path), "").seen())


def _lease(folder: StudyFolder, seen: tuple[Holder, float] | None) -> Finding:
    if seen is None:
        return Finding("lease", True, "free")
    holder, age = seen
    if holder.is_dead():
        return Finding("lease", True, f"left by {holder}, which has ended: the next driver takes it over")
    if not 0 <= age <= STALE_SECONDS:
        text = f"held by {holder}, which has not renewed it for {age:.0f} s"
        return Finding("lease", False, text, f"end that process, or take over with: bo-shaping resume {folder.handle}")
    return Finding("lease", True, f"held by {holder}, renewed {age:.0f} s ago")
