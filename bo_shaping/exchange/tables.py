"""Trials from a table: CSV with a header, or JSON with one object per trial, our own exports among them.

Columns of numbers are parameters or metrics, whichever the study looks for; `NAME_sem` is the standard error of `NAME`.
A column of words is the parameter of that name, if the study searches words there.
A column `status` or `state` says which trials count.
"""

import csv
import io
from collections.abc import Mapping, Sequence
from typing import Any

from bo_shaping.errors import ExperimentFileError
from bo_shaping.exchange.foreign import ForeignExperiment, ForeignTrial

SEM = "_sem"
_STATES = ("status", "state")
_LABELS = ("index", "number", "trial", "trial_index")
_FINISHED = ("completed", "complete", "stopped", "early_stopped", "")
OWN_REWARD = {"mean": "reward", "sem": f"reward{SEM}"}
"""What our own tables call the reward and its standard error."""


def from_csv(text: str, source: str) -> ForeignExperiment:
    """The trials of a CSV file.

    Raises:
        ExperimentFileError: If it has no header, or a row is longer than that.
    """
    try:
        # A byte-order mark is what Windows writes before the first name.
        rows = list(csv.DictReader(io.StringIO(text.removeprefix("\ufeff")), strict=True))
    except csv.Error as error:
        raise ExperimentFileError(f"{source} is no CSV file ({error}).") from None
    if not rows:
        raise ExperimentFileError(f"{source} has no trials: it needs a header, and one line per trial.")
    for number, row in enumerate(rows, start=2):
        if None in row:
            raise ExperimentFileError(f"{source}, line {number}, has more cells than the header.")
    return from_rows([{str(name): cell for name, cell in row.items()} for row in rows], source)


def from_rows(rows: Sequence[Mapping[str, Any]], source: str) -> ForeignExperiment:
    """The trials of a table, one mapping from column to cell each."""
    return ForeignExperiment(source, [_trial(number, row) for number, row in enumerate(rows)])


def _trial(number: int, row: Mapping[str, Any]) -> ForeignTrial:
    cells = {OWN_REWARD.get(name, name): cell for name, cell in row.items()}
    state = next((str(cells[name]).strip().lower() for name in _STATES if cells.get(name) is not None), "")
    label = next((str(cells[name]) for name in _LABELS if cells.get(name) not in (None, "")), str(number))
    values: dict[str, object] = {}
    words: dict[str, str] = {}
    for name, cell in cells.items():
        if name in (*_STATES, *_LABELS):
            continue
        # In our JSON: weights, parameters, measures.
        nested = cell if isinstance(cell, Mapping) else {name: cell}
        for key, value in nested.items():
            own = f"w_{key}" if isinstance(cell, Mapping) and name == "weights" else str(key)
            if (known := _number(value)) is not None:
                values[own] = known
            elif isinstance(value, str) and value:
                words[own] = value
    outcomes = {
        name: (_number(value), _number(values.get(f"{name}{SEM}")))
        for name, value in values.items()
        if not name.endswith(SEM)
    }
    return ForeignTrial(label, values, outcomes, None if state in _FINISHED else f"it is {state}", words=words)


def _number(cell: object) -> float | None:
    """The number in a cell; None where there is none."""
    if isinstance(cell, bool) or not isinstance(cell, int | float | str):
        return None
    try:
        return float(cell)
    except ValueError:
        return None
