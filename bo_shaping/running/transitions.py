"""How a trial ends: from what its folder holds to what the journal says of it."""

import math
from collections.abc import Sequence
from statistics import fmean, stdev

from bo_shaping.config import StudyConfig
from bo_shaping.config.limits import MEASURES
from bo_shaping.storage.records import Entry, Status
from bo_shaping.surrogate.outcomes import curve_observations, observations, outcome_data, seed_values
from inner_loop.spec import TrialProgress, TrialResult


def completed(config: StudyConfig, entry: Entry, results: Sequence[TrialResult]) -> Entry:
    """The trial with its results, one per seed."""
    means = [result.mean for result in results]
    last = [result.curve[-1] for result in results if result.curve]
    measures = {
        name: fmean(float(value) for value in values)
        for name in MEASURES
        if (values := [getattr(point, name) for point in last]) and None not in values
    }
    record = entry.record.model_copy(
        update={
            "status": "completed",
            "mean": fmean(means),
            "sem": results[0].sem if len(results) == 1 else stdev(means) / math.sqrt(len(means)),
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
            "values": seed_values(config, results),
        }
    )


def failed(entry: Entry, reason: str) -> Entry:
    """The trial without an outcome."""
    record = entry.record.model_copy(update={"status": "failed", "reason": reason})
    return entry.model_copy(update={"record": record, "data": (), "values": {}})


def again(entry: Entry, status: Status) -> Entry:
    """A failed trial as it was before it ran, or was given away."""
    update = {"status": status, "attempt": 1, "reason": None}
    return entry.model_copy(update={"record": entry.record.model_copy(update=update)})


def stopped(config: StudyConfig, entry: Entry, events: Sequence[TrialProgress], reason: str) -> Entry:
    """The trial with the curve it has got, which has at least one point."""
    point = max((event.point for event in events if event.point is not None), key=lambda point: point.step)
    record = entry.record.model_copy(
        update={
            "status": "stopped",
            "step": point.step,
            "mean": point.mean,
            "sem": point.sem,
            "kl": point.kl,
            "reason": reason,
        }
    )
    return entry.model_copy(update={"record": record, "data": curve_observations(config, events)})
