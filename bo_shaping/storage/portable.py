"""A study in one file: what `ax_experiment.json` carries beside the Ax experiment, so that it alone is enough.

It stands among the properties of the experiment, which plain Ax keeps and does not look at. The storage URL, which may
hold a password, is not in it; neither are the measures of single PPO steps, nor explained responses, which are most of
a study's bytes, unless somebody asks for them.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import Field, PositiveInt, ValidationError

from bo_shaping.config import StudyConfig
from bo_shaping.config.changes import written
from bo_shaping.errors import ExperimentFileError
from bo_shaping.storage.records import Entry
from bo_shaping.storage.study_folder import StudyFolder
from inner_loop.io.schema import StrictModel, problems_of
from inner_loop.spec import CurvePoint, TrialResult

KEY = "bo-shaping"
"""Name of the property."""
VERSION = 1
MAX_BYTES = 512 * 2**20
"""Larger files are no study: one of 500 trials has a few MB."""


class FinishedTrial(StrictModel):
    """What the trial's folder has of its trainings."""

    index: int
    results: list[TrialResult] = Field(default=[])
    """One per seed, without the measures of single steps, and mostly without explained responses."""
    curve: list[CurvePoint] = Field(default=[])
    """Of a trial that was stopped, as far as it went."""


class PortableStudy(StrictModel):
    """Everything that goes on with a study: its configuration, its journal, and what its trials measured."""

    version: PositiveInt = VERSION
    config: dict[str, Any]
    entries: list[Entry]
    trials: list[FinishedTrial] = Field(default=[])


def portable_study(
    folder: StudyFolder,
    config: StudyConfig,
    known: dict[int, FinishedTrial] | None = None,
    *,
    keeps_responses: bool = False,
) -> PortableStudy:
    """A study as it travels.

    Args:
        folder: Where it lives.
        config: Its configuration.
        known: What was read before of finished trials, by index, which does not change; what is read now is added.
        keeps_responses: Whether explained responses go with it.
    """
    known = {} if known is None else known
    entries = list(folder.journal.entries().values())
    finished = [entry.record.index for entry in entries if entry.record.status in ("completed", "stopped")]
    for index, results in folder.results([index for index in finished if index not in known]).items():
        left_out: dict[str, list[Any]] = {"steps": []} if keeps_responses else {"samples": [], "steps": []}
        kept = [result.model_copy(update=left_out) for result in results]
        known[index] = FinishedTrial(index=index, results=kept)
    for entry in entries:
        record = entry.record
        if record.status == "stopped" and record.index not in known:
            known[record.index] = FinishedTrial(index=record.index, curve=folder.trial(record.index).curve())
    return PortableStudy(
        config=written(config), entries=entries, trials=[known[index] for index in finished if index in known]
    )


def read_portable(file: Path) -> PortableStudy:
    """The study in a file that `Study` or `export --format ax-json` has written. Nothing in it is executed.

    Raises:
        ExperimentFileError: If it cannot be read, is none, or was written by a newer version.
    """
    content = read_json(file)
    study = portable_of(content, file)
    if study is None:
        raise ExperimentFileError(
            f"{file} holds no study of bo-shaping; give the ax_experiment.json of a study, or what bo-shaping export "
            f"STUDY --format ax-json writes. For trials of others: bo-shaping launch CONFIG.yaml --from {file}"
        )
    if more := has_more_trials(content, study):
        raise ExperimentFileError(
            f"{file} has trials that plain Ax has added (in all {more}): take them into a new study with: bo-shaping "
            f"launch CONFIG.yaml --from {file}"
        )
    return study


def has_more_trials(content: object, study: PortableStudy) -> int:
    """How many trials the experiment has if plain Ax has added some that the study does not know, else 0."""
    trials = _of_experiment(content, "trials")
    return len(trials) if len(trials) > len(study.entries) else 0


def portable_of(content: object, file: Path) -> PortableStudy | None:
    """The study in what a client has saved; None if there is none.

    Raises:
        ExperimentFileError: If it is damaged, or was written by a newer version.
    """
    data = _of_experiment(content, "properties").get(KEY)
    if not isinstance(data, dict):
        return None
    version = data.get("version")
    if isinstance(version, int) and version > VERSION:
        raise ExperimentFileError(f"{file} was written by a newer bo-shaping; install that, and resume it there.")
    try:
        study = PortableStudy.model_validate(data)
    except ValidationError as error:
        raise ExperimentFileError(f"{file} is damaged: {problems_of(error)[0]}.") from None
    indices = [entry.record.index for entry in study.entries]
    if indices != list(range(len(indices))):
        raise ExperimentFileError(f"{file} is damaged: its trials are not numbered from 0 on, each once.")
    return study


def read_json(file: Path) -> Any:
    """The content of a file of somebody else's.

    Raises:
        ExperimentFileError: If it cannot be read, is far too large, or is no whole JSON file.
    """
    try:
        with file.open("rb") as stream:
            text = stream.read(MAX_BYTES + 1)
    except OSError as error:
        raise ExperimentFileError(f"{file} cannot be read: {error.strerror}.") from None
    if len(text) > MAX_BYTES:
        raise ExperimentFileError(f"{file} has more than {MAX_BYTES / 2**20:.0f} MB, which no study has.")
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        raise ExperimentFileError(f"{file} is no whole JSON file; ask for it again.") from None


def _of_experiment(content: object, name: str) -> Mapping[str, Any]:
    """A mapping that the experiment of a client's JSON has; empty if there is none."""
    experiment = content.get("experiment") if isinstance(content, dict) else None
    found = experiment.get(name) if isinstance(experiment, dict) else None
    return found if isinstance(found, dict) else {}
