"""Outcomes from somebody else's inner loop: checked before anything is written down."""

import textwrap
from collections.abc import Mapping
from numbers import Real
from typing import Any

from bo_shaping.config import StudyConfig
from bo_shaping.config.limits import MEASURES, SECONDS
from bo_shaping.config.searched_parameter import Value
from bo_shaping.config.weight_bounds import SLACK
from bo_shaping.errors import TellError
from bo_shaping.running.transitions import failed
from bo_shaping.storage.records import Entry, TrialRecord
from bo_shaping.surrogate.outcomes import DECIMALS, KL, LARGEST, REWARD, Outcome, observations
from inner_loop.io.schema import nearest
from inner_loop.spec import SUM_ATOL


def told(
    config: StudyConfig,
    entry: Entry,
    mean: float,
    sem: float | None,
    kl: float | None,
    measures: Mapping[str, float] | None,
) -> Entry:
    """The trial with the outcome that somebody tells.

    Raises:
        TellError: If the trial is not waiting for one, or the outcome cannot be used.
    """
    record = _waiting(entry)
    for name in measures or {}:
        if name not in MEASURES:
            raise TellError(
                f"Unknown measure {name!r}, did you mean {nearest(name, MEASURES)!r}? Measures: {', '.join(MEASURES)}."
            )
    values = {"mean": _number("mean", mean)}
    values |= {name: _number(name, value) for name, value in (("sem", sem), ("kl", kl)) if value is not None}
    values |= {name: _number(name, value) for name, value in (measures or {}).items()}
    if values.get("sem", 0.0) < 0:
        raise TellError(f"sem must be >= 0, got {sem}.")
    needed = {KL} if config.objective.pareto else set()
    needed |= set(config.objective.measures) - {REWARD}
    missing = sorted(needed - values.keys())
    if missing:
        raise TellError(
            f"The study limits {', '.join(missing)}, so every outcome must come with it: "
            f"tell(..., {', '.join(f'{name}=...' for name in missing)}), on the command line "
            f"{' '.join(map(_option, missing))}; or launch the study without that limit (objective.max_kl: null)."
        )
    has_replicates = len(record.seeds) > 1
    if has_replicates and sem is None:
        raise TellError(
            "The trial has replicates, so its mean must come with its standard error over seeds: tell(..., sem=...)."
        )
    outcome = _outcome(config, values, has_replicates)
    return entry.model_copy(
        update={
            "record": record.model_copy(
                update={
                    "status": "completed",
                    "mean": values["mean"],
                    "sem": values.get("sem"),
                    "kl": values.get("kl"),
                    "measures": {name: values[name] for name in measures or {} if name != SECONDS},
                    "seconds": values.get(SECONDS),
                }
            ),
            "data": observations(outcome),
            # One training, unless it is a mean over several, of which nothing else is known.
            "values": {}
            if has_replicates
            else {name: [value] for name, value in outcome.items() if not isinstance(value, tuple)},
        }
    )


def given_up(entry: Entry, reason: str) -> Entry:
    """The trial as failed, which somebody will never tell about.

    Raises:
        TellError: If the trial is not waiting to be told.
    """
    _waiting(entry)
    # Bytes that were no text in the terminal come as lone surrogates, which no file can hold.
    return failed(entry, reason.encode("utf-8", "replace").decode("utf-8"))


def _waiting(entry: Entry) -> TrialRecord:
    """The record of a trial that `ask` gave.

    Raises:
        TellError: If it is not waiting to be told.
    """
    record = entry.record
    if record.status != "asked":
        was = {"completed": "has been told or run already", "running": "is run by the study itself"}
        raise TellError(
            f"Trial {record.index} {was.get(record.status, 'has ' + record.status)}; tell only trials that ask() gave."
        )
    return record


def checked_arm(config: StudyConfig, parameters: Mapping[str, Value]) -> tuple[dict[str, float], dict[str, Value]]:
    """Weights and training parameters of an arm that somebody chose; weights that are left out are 0.

    Raises:
        TellError: If it is not in the search space.
    """
    space = config.search_space
    known = (*space.components, *space.parameters)
    for name in parameters:
        if name not in known:
            raise TellError(
                f"Unknown weight or parameter {name!r}, did you mean {nearest(name, known)!r}? The study searches over "
                f"{', '.join(known)}."
            )
    weights = {name: _number(name, parameters.get(name, 0.0)) for name in space.components}
    if min(weights.values()) < 0 or abs(sum(weights.values()) - 1) > SUM_ATOL:
        raise TellError(f"Mixing weights must be >= 0 and sum to 1, got {weights}.")
    for name, weight in weights.items():
        lower, upper = space.bounds.get(name, (0.0, 1.0))
        lower, upper = space.fixed.get(name, lower), space.fixed.get(name, upper)
        if not lower - SLACK <= weight <= upper + SLACK:
            raise TellError(f"{name} must be between {lower:g} and {upper:g}, got {weight:g}.")
    extra: dict[str, Value] = {}
    for name, parameter in space.parameters.items():
        if name not in parameters:
            raise TellError(f"The arm has no value for {name!r}.")
        given: Any = _only_number_of(parameters[name])
        value = given if isinstance(given, str) else _number(name, given)
        if (refusal := parameter.refusal(value)) is not None:
            raise TellError(f"{name} {refusal}.")
        extra[name] = parameter.exact(value)
    return weights, extra


def _option(name: str) -> str:
    return "--kl KL" if name == KL else f"--measure {name}=VALUE"


def _outcome(config: StudyConfig, values: Mapping[str, float], has_replicates: bool) -> Outcome:
    """What the surrogate is told. Its noise is inferred unless the trial has replicates: then sems are over seeds."""
    outcome: Outcome = {}
    for metric in (REWARD, KL, *config.objective.measures):
        name = "mean" if metric == REWARD else metric
        if name not in values or metric in outcome:
            continue
        value = round(values[name], DECIMALS)
        has_sem = metric == REWARD and has_replicates
        outcome[metric] = (value, round(values["sem"], DECIMALS)) if has_sem else value
    return outcome


def _number(name: str, value: object) -> float:
    """A finite number: also what other people's loops hold, an array or tensor with one number, on any device."""
    number: Any = _only_number_of(value)
    is_real = isinstance(number, Real) and not isinstance(number, bool)
    if not is_real or not -LARGEST <= number <= LARGEST:
        got = textwrap.shorten(repr(value), 80, placeholder=" ...")
        raise TellError(f"{name} must be a finite number (at most {LARGEST:g} in size), got {got}.")
    return float(number)


def _only_number_of(value: Any) -> Any:
    """The Python number in a NumPy scalar, or in an array or tensor that holds one; anything else as it is."""
    if not callable(getattr(value, "item", None)):
        return value
    count = value.numel() if callable(getattr(value, "numel", None)) else getattr(value, "size", None)
    return value.item() if count == 1 else value
