"""The trials of a study as a table for pandas."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from bo_shaping.config import StudyConfig
from bo_shaping.space.arms import to_arm
from bo_shaping.storage.records import TrialRecord

if TYPE_CHECKING:
    import pandas as pd


FACTS = ("mean", "sem", "final", "kl", "reason", "seconds", "origin", "seeds", "attempt", "earlier", "step")
"""Columns beside index, status and arm."""


def trials_frame(config: StudyConfig, records: Sequence[TrialRecord]) -> "pd.DataFrame":
    """One row per trial: index, status, `w_*`, training parameters, outcome, and where it comes from."""
    import pandas as pd

    space = config.search_space
    extra = list(space.parameters)
    columns = ["index", "status", *(f"w_{name}" for name in space.components), *extra]
    columns += FACTS
    rows = [
        {**record.model_dump(exclude={"weights", "parameters"}), **to_arm(record.weights, record.parameters)}
        for record in records
    ]
    frame = pd.DataFrame(rows, columns=columns)
    words = ["index", "status", "reason", "origin", "seeds", "attempt", "earlier"]
    words += [name for name, parameter in space.choices.items() if parameter.are_words]
    return frame.astype(dict.fromkeys([name for name in columns if name not in words], float))
