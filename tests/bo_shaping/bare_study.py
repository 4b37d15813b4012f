"""A study of nothing but records: what the reading half of the package is tested on, in an instant and without Ax."""

from pathlib import Path
from typing import Any

from bo_shaping.config import StudyConfig
from bo_shaping.config.changes import written
from bo_shaping.space.arms import to_arm
from bo_shaping.storage.records import Entry, TrialRecord
from bo_shaping.storage.study_folder import StudyFolder

ARM: dict[str, Any] = {"weights": {"shap": 0.25, "lime": 0.0, "sparse": 0.75}, "parameters": {"gae_lambda": 0.9}}

EVIL = "[red]odd[/red] [/] <b> \x1b[2J\u202egnp\x07"
"""A reason that would paint, clear or reorder a terminal."""

EVIL_SHOWN = "[red]odd[/red] [/] <b> \\u001b[2J\\u202egnp\\u0007"


def bare_study(path: Path, **settings: Any) -> StudyFolder:
    """A study without trials in the folder `path`."""
    folder = StudyFolder(path)
    folder.path.mkdir(parents=True)
    config = StudyConfig(name=path.name, search_space={"components": "papers"}, **settings)
    folder.config_file.write_text(config.to_yaml())
    folder.journal.append("config", written(config))
    return folder


def write_record(folder: StudyFolder, record: TrialRecord) -> None:
    """Write down the new state of a trial of which nobody tells the surrogate anything."""
    folder.journal.write(Entry(record=record, arm=to_arm(record.weights, record.parameters)))


def add_trial(folder: StudyFolder, index: int, status: str, **fields: Any) -> TrialRecord:
    """Put a trial into the study, or a new state of it."""
    known = {"mean": 1.0, "sem": 0.1, "kl": 2.0, "seconds": 3.0} if status == "completed" else {}
    record = TrialRecord.model_validate({"index": index, "status": status, **ARM, **known, **fields})
    folder.trial(index).path.mkdir(parents=True, exist_ok=True)
    write_record(folder, record)
    return record
