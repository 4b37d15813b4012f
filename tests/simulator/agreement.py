"""Whether a study that nobody drives says the same in all its places."""

import json
from pathlib import Path

from bo_shaping.storage.database import Database
from bo_shaping.storage.portable import KEY
from bo_shaping.storage.recovery import bring_in_line
from bo_shaping.storage.study_folder import StudyFolder
from tests.simulator.studies import design
from tests.simulator.world import WorldError


def check_agreement(path: Path) -> None:
    """Raise `WorldError` if database or snapshot differ from the journal, or the arms from those that were promised."""
    folder = StudyFolder(path)
    entries = folder.journal.entries()
    database = Database(f"sqlite:///{folder.database_file}", "")
    try:
        behind = bring_in_line(database.load("study"), entries)
    finally:
        database.close()
    if behind:
        raise WorldError(f"the database is behind the journal in the trials {[trial.index for trial in behind]}")
    experiment = json.loads(folder.snapshot_file.read_text(encoding="utf-8"))["experiment"]
    in_snapshot = {entry["record"]["index"]: entry for entry in experiment["properties"][KEY]["entries"]}
    if in_snapshot != {index: entry.model_dump(mode="json") for index, entry in entries.items()}:
        raise WorldError("the snapshot differs from the journal")
    for index, entry in entries.items():
        if entry.arm != design()[index]:
            raise WorldError(f"trial {index} has another arm than the design, which does not depend on what happens")
