"""From the journal to the Ax experiment, and back when the journal is what was lost."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from ax.core.base_trial import BaseTrial
from ax.core.data import Data, DataRow
from ax.core.experiment import Experiment
from ax.core.trial_status import TrialStatus

from bo_shaping.errors import StorageError
from bo_shaping.libraries.ax_internals import data_rows, forget_status_reason, set_run_metadata
from bo_shaping.space.arms import from_arm
from bo_shaping.storage.records import Entry, Status, TrialRecord
from bo_shaping.surrogate.outcomes import Observation

SEEDS, ORIGIN, VALUES, ASKED = "seeds", "origin", "values", "asked"
"""Keys of the run metadata of an Ax trial."""

AX_REASON_LENGTH = 100
_AX_STATUS: dict[Status, TrialStatus] = {
    "running": TrialStatus.RUNNING,
    "asked": TrialStatus.RUNNING,
    "completed": TrialStatus.COMPLETED,
    "failed": TrialStatus.FAILED,
    "stopped": TrialStatus.EARLY_STOPPED,
}

Rows = dict[int, tuple[Observation, ...]]


def bring_in_line(experiment: Experiment, entries: Mapping[int, Entry]) -> list[BaseTrial]:
    """Make the experiment what the journal says; returns the trials that were missing, behind, or different.

    Raises:
        StorageError: If the experiment has trials of which the journal does not know.
    """
    known = experiment.trials.keys() | entries.keys()
    if known != entries.keys() or sorted(known) != list(range(len(known))):
        raise StorageError(
            f"The journal knows {len(entries)} trials and the database {len(experiment.trials)}, and they do not fit"
        )
    rows = observations(experiment)
    behind = [entry for entry in entries.values() if not _is_in_line(experiment, rows, entry)]
    trials = [_set_state(experiment, entry) for entry in behind]
    _set_data(experiment, behind)
    return trials


def apply(experiment: Experiment, entry: Entry) -> BaseTrial:
    """Put one trial of the experiment into the state that the journal has written down."""
    trial = _set_state(experiment, entry)
    _set_data(experiment, [entry])
    return trial


def _set_state(experiment: Experiment, entry: Entry) -> BaseTrial:
    record = entry.record
    if record.index not in experiment.trials:
        experiment.attach_trial([dict(entry.arm)])
    trial: BaseTrial = experiment.trials[record.index]
    set_run_metadata(trial, _metadata(entry))
    wanted = _AX_STATUS[record.status]
    if trial.status != wanted:
        forget_status_reason(trial)
        reason = ax_reason(record.reason or "")
        if wanted == TrialStatus.RUNNING:
            trial.mark_running(no_runner_required=True, unsafe=True)
        elif wanted == TrialStatus.COMPLETED:
            trial.mark_completed(unsafe=True)
        elif wanted == TrialStatus.FAILED:
            trial.mark_failed(reason=reason, unsafe=True)
        else:
            trial.mark_early_stopped(reason=reason, unsafe=True)
    return trial


def _set_data(experiment: Experiment, entries: Sequence[Entry]) -> None:
    """Give these trials the data of their entries, and no other, all in one order."""
    given = {entry.record.index for entry in entries}
    rows = [row for row in data_rows(experiment) if row.trial_index not in given]
    for entry in entries:
        arm_name = experiment.trials[entry.record.index].arm.name
        rows += [
            DataRow(
                trial_index=entry.record.index,
                arm_name=arm_name,
                metric_name=row.metric,
                metric_signature=experiment.metrics[row.metric].signature,
                mean=row.mean,
                se=math.nan if row.sem is None else row.sem,
                step=row.step,
            )
            for row in entry.data
        ]
    experiment.data = Data(data_rows=sorted(rows, key=_order))


def observations(experiment: Experiment) -> Rows:
    """What the experiment knows of the outcome of every trial."""
    found: dict[int, list[Observation]] = {}
    for row in sorted(data_rows(experiment), key=_order):
        observation = Observation(metric=row.metric_name, mean=row.mean, sem=_number(row.se), step=_number(row.step))
        found.setdefault(int(row.trial_index), []).append(observation)
    return {trial: tuple(rows) for trial, rows in found.items()}


def _order(row: DataRow) -> tuple[int, str, float]:
    step = _number(row.step)
    return row.trial_index, row.metric_name, math.inf if step is None else step


def entries_of(experiment: Experiment, salvaged: Mapping[int, Entry]) -> list[Entry]:
    """A journal from the database, with what is `salvaged` of the old one where that knows as much or more."""
    rows, entries = observations(experiment), []
    for index, trial in sorted(experiment.trials.items()):
        old = salvaged.get(index)
        if old is not None and trial.status in (_AX_STATUS[old.record.status], TrialStatus.RUNNING):
            entries.append(old)
        else:
            entries.append(_entry_of(trial, rows.get(index, ())))
    while (index := len(entries)) in salvaged:
        entries.append(salvaged[index])
    return entries


def _entry_of(trial: BaseTrial, rows: tuple[Observation, ...]) -> Entry:
    weights, parameters = from_arm(trial.arm.parameters)
    words: dict[TrialStatus, Status] = {status: word for word, status in _AX_STATUS.items() if word != "asked"}
    final = {row.metric: row for row in rows}
    record = TrialRecord(
        index=trial.index,
        status="asked" if trial.run_metadata.get(ASKED) else words.get(trial.status, "failed"),
        weights=weights,
        parameters=parameters,
        seeds=tuple(trial.run_metadata.get(SEEDS, (0,))),
        origin=trial.run_metadata.get(ORIGIN, "model"),
        mean=final["reward"].mean if "reward" in final else None,
        sem=final["reward"].sem if "reward" in final else None,
        kl=final["kl"].mean if "kl" in final else None,
        step=final["reward"].step if trial.status == TrialStatus.EARLY_STOPPED and "reward" in final else None,
        reason=trial.status_reason,
    )
    return Entry(record=record, arm=dict(trial.arm.parameters), data=rows, values=trial.run_metadata.get(VALUES, {}))


def ax_reason(reason: str) -> str:
    """A failure reason as Ax can take it: its column is short, and its summary puts it into HTML as it is."""
    return reason.translate({ord("<"): "(", ord(">"): ")"})[:AX_REASON_LENGTH]


def _is_in_line(experiment: Experiment, rows: Rows, entry: Entry) -> bool:
    record = entry.record
    trial = experiment.trials.get(record.index)
    return (
        trial is not None
        and trial.arm.parameters == entry.arm
        and trial.status == _AX_STATUS[record.status]
        and trial.run_metadata == _metadata(entry)
        and rows.get(record.index, ()) == _sorted(entry.data)
    )


def _metadata(entry: Entry) -> dict[str, Any]:
    values = {VALUES: entry.values} if entry.values else {}
    asked = {ASKED: True} if entry.record.status == "asked" else {}
    return {SEEDS: list(entry.record.seeds), ORIGIN: entry.record.origin} | values | asked


def _sorted(rows: tuple[Observation, ...] | list[Observation]) -> tuple[Observation, ...]:
    return tuple(sorted(rows, key=lambda row: (row.metric, math.inf if row.step is None else row.step)))


def _number(value: float | None) -> float | None:
    return None if value is None or math.isnan(value) else float(value)
