"""Trials of a plain Ax experiment from its JSON, read as data: nothing that it names is imported.

Both `Client.save_to_json_file` and the older `AxClient.save_to_json_file` write it; only the parts that hold arms,
states and data are looked at.
"""

import json
import math
from collections.abc import Iterator, Mapping
from typing import Any

from bo_shaping.errors import ExperimentFileError
from bo_shaping.exchange.foreign import ForeignExperiment, ForeignTrial, Outcome

_COUNTS = ("COMPLETED", "EARLY_STOPPED")


def is_ax_json(content: object) -> bool:
    """Whether it is what an Ax client has saved."""
    return (
        isinstance(content, dict) and isinstance(content.get("experiment"), dict) and "trials" in content["experiment"]
    )


def from_ax_json(experiment: Mapping[str, Any], source: str) -> ForeignExperiment:
    """The trials of the experiment in a client's JSON.

    Raises:
        ExperimentFileError: If it is damaged.
    """
    try:
        data = _data(experiment)
        trials = [
            _trial(int(index), trial, data.get(int(index), {})) for index, trial in dict(experiment["trials"]).items()
        ]
        minimised = _minimised(experiment.get("optimization_config"))
    except (KeyError, TypeError, ValueError, AttributeError, IndexError) as error:
        lacks = f" (it has no {error} where Ax writes one)" if isinstance(error, KeyError) else ""
        raise ExperimentFileError(
            f"{source} is a damaged Ax experiment{lacks}; save it again with Ax, or give its trials as a CSV table."
        ) from None
    return ForeignExperiment(source, sorted(trials, key=lambda trial: int(trial.label)), minimised)


def _trial(index: int, trial: Mapping[str, Any], outcomes: dict[str, Outcome]) -> ForeignTrial:
    arms = list(
        _of_type("Arm", [trial.get("generator_run"), trial.get("generator_runs"), trial.get("_generator_runs")])
    )
    status = str(trial["status"]["name"])
    problem = None if status in _COUNTS else f"it is {status.lower().replace('_', ' ')}"
    if len(arms) != 1:
        problem = f"it has {len(arms)} arms"
    return ForeignTrial(str(index), dict(arms[0]["parameters"]) if arms else {}, outcomes, problem)


def _data(experiment: Mapping[str, Any]) -> dict[int, dict[str, Outcome]]:
    """Outcomes by trial; of a metric with several rows the last step, or the last row, counts."""
    found: dict[int, dict[str, Outcome]] = {}
    steps: dict[tuple[int, str], float] = {}
    for frame in _of_type("DataFrame", [experiment.get("data_by_trial"), experiment.get("data")]):
        columns: dict[str, dict[str, Any]] = json.loads(frame["value"])
        for row in columns.get("mean", {}):
            trial, metric = int(columns["trial_index"][row]), str(columns["metric_name"][row])
            step = columns.get("step", {}).get(row)
            # The outcome of a finished training has no step, and stands above every point of its curve.
            place = math.inf if step is None else float(step)
            if place >= steps.get((trial, metric), -math.inf):
                steps[trial, metric] = place
                found.setdefault(trial, {})[metric] = (columns["mean"][row], columns.get("sem", {}).get(row))
    return found


def _minimised(config: Any) -> frozenset[str]:
    objective = config.get("objective") if isinstance(config, dict) else None
    if not isinstance(objective, dict):
        return frozenset()
    if isinstance(expression := objective.get("expression"), str):
        return frozenset(part.strip()[1:].strip() for part in expression.split(",") if part.strip().startswith("-"))
    metric = objective.get("metric")
    is_less_better = bool(objective.get("minimize")) and isinstance(metric, dict)
    return frozenset({str(metric["name"])}) if is_less_better and isinstance(metric, dict) else frozenset()


def _of_type(kind: str, value: Any) -> Iterator[dict[str, Any]]:
    """Everything of that type within, at any depth; Ax has nested it differently in different versions."""
    if isinstance(value, dict):
        if value.get("__type") == kind:
            yield value
        else:
            for inner in value.values():
                yield from _of_type(kind, inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _of_type(kind, inner)
