"""How a trial ends: from what its folder holds to what the journal says of it."""

import math
from collections.abc import Sequence
from statistics import fmean, stdev

from bo_shaping.config import StudyConfig
from bo_shaping.config.limits import N_EVALUATIONS, OF_THE_CURVE
from bo_shaping.storage.records import Entry, Status
from bo_shaping.surrogate.outcomes import (
    REWARD,
    curve_observations,
    measured,
    observations,
    outcome_data,
    reward_of,
    seed_values,
)
from inner_loop.spec import TrialProgress, TrialResult


def completed(config: StudyConfig, entry: Entry, results: Sequence[TrialResult]) -> Entry:
    """The trial with its results, one per seed."""
    values_by_metric, is_final = seed_values(config, results), config.objective.measure == "final"
    rewards = [reward_of(config, result) for result in results]
    of_one = results[0].sem if is_final else None
    measures = {N_EVALUATIONS: fmean(measured(N_EVALUATIONS, result) or 0.0 for result in results)}
    last = [result for result in results if result.curve]
    for name in OF_THE_CURVE:
        values = [value for result in last if (value := measured(name, result)) is not None]
        if values and len(values) == len(last):
            measures[name] = fmean(values)
    record = entry.record.model_copy(
        update={
            "status": "completed",
            "mean": fmean(rewards),
            "sem": of_one if len(results) == 1 else stdev(rewards) / math.sqrt(len(rewards)),
            "final": None if is_final else fmean(result.mean for result in results),
            "kl": fmean(result.kl for result in results),
            "measures": measures,
            "seconds": sum(sum(result.seconds.values()) for result in results),
        }
    )
    # Curves are compared where trials are stopped early; elsewhere they would only be in the way.
    points = [point for result in results for point in result.curve] if config.early_stopping is not None else []
    events = [TrialProgress(step=point.step, n_steps=point.step, point=point) for point in points]
    return entry.model_copy(
        update={
            "record": record,
            "data": (*curve_observations(config, events), *observations(outcome_data(config, results))),
            "values": values_by_metric,
        }
    )


def failed(entry: Entry, reason: str) -> Entry:
    """The trial without an outcome."""
    record = entry.record.model_copy(update={"status": "failed", "reason": reason})
    return entry.model_copy(update={"record": record, "data": (), "values": {}})


def again(entry: Entry, status: Status) -> Entry:
    """A failed trial as it was before it ran, or was given away."""
    update = {"status": status, "attempt": 1, "earlier": (), "reason": None}
    return entry.model_copy(update={"record": entry.record.model_copy(update=update)})


def stopped(config: StudyConfig, entry: Entry, events: Sequence[TrialProgress], reason: str) -> Entry:
    """The trial with the curve it has got, which has at least one point."""
    point = max((event.point for event in events if event.point is not None), key=lambda point: point.step)
    data, is_final = curve_observations(config, events), config.objective.measure == "final"
    [so_far] = [row.mean for row in data if (row.metric, row.step) == (REWARD, point.step)]
    record = entry.record.model_copy(
        update={
            "status": "stopped",
            "step": point.step,
            "mean": so_far,
            "sem": point.sem if is_final else None,
            "final": None if is_final else point.mean,
            "kl": point.kl,
            "reason": reason,
        }
    )
    return entry.model_copy(update={"record": record, "data": data})
