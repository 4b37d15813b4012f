"""What can be wrong with an installation or a study, found by looking; each problem comes with its remedy."""

import platform
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from packaging.requirements import Requirement

from bo_shaping.config import DEFAULT_INNER_LOOP, StudyConfig
from bo_shaping.errors import BoShapingError
from bo_shaping.status import study_status
from bo_shaping.store import StudyFolder, studies_root, without_password
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
            ("disk", lambda: _disk(studies_root(), 0)),
            ("models", lambda: _models(StudyConfig(name="default"))),
        ]
    else:
        checks += [
            ("trials", lambda: _trials(folder)),
            ("workers", lambda: _workers(folder)),
            ("disk", lambda: _disk(folder.path, _bytes_to_come(folder))),
            ("storage", lambda: _storage(folder)),
            ("models", lambda: _models(folder.config())),
        ]
    findings: list[Finding] = []
    for name, check in checks:
        try:
            findings += check()
        except (BoShapingError, InnerLoopError, OSError) as error:
            # Errors of ours name the remedy.
            findings.append(Finding(name, False, " ".join(str(error).split())))
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
    unfinished = status.count("interrupted") and status.driver is None
    yield Finding("trials", True, status.headline(), f"bo-shaping resume {folder.handle}" if unfinished else "")
    known = {trial.record.index for trial in status.trials}
    for path in sorted((folder.path / "trials").glob("*/")):
        if not (path.name.isdecimal() and int(path.name) in known):
            yield Finding(
                "trials", False, f"{path} belongs to no trial of the study", f"look into it, then remove {path}"
            )


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


def _disk(path: Path, needed: int) -> Iterator[Finding]:
    there = next(parent for parent in (path.absolute(), *path.absolute().parents) if parent.exists())
    free, needed = shutil.disk_usage(there).free, max(needed, MIN_FREE_BYTES)
    text = f"{free / 1e9:.1f} GB free in {there}"
    if free < needed:
        yield Finding("disk", False, f"{text}; {needed / 1e9:.1f} GB may be needed", "free some space")
    else:
        yield Finding("disk", True, text)


def _models(config: StudyConfig) -> Iterator[Finding]:
    """Policy, reward model and prompts, loaded as the first trial would load them."""
    if config.inner_loop == DEFAULT_INNER_LOOP:
        from inner_loop.task import check_task

        check_task(config.task, config.evaluation)
        task = config.task
        text = f"policy {task.policy}, reward model {task.reward_model} and prompts {task.prompts} can be loaded"
    else:
        from bo_shaping.executors.worker import import_inner_loop

        import_inner_loop(config.inner_loop)
        text = f"the inner loop {config.inner_loop} can be imported"
    yield Finding("models", True, text)


def _storage(folder: StudyFolder) -> Iterator[Finding]:
    """Whether database and records tell the same story."""
    from bo_shaping.study import Study

    study = Study.load(folder.path)
    stored = {index: trial.status.name for index, trial in study.ax_client._experiment.trials.items()}
    yield Finding("storage", True, f"{len(stored)} trials in {without_password(folder.storage)}")
