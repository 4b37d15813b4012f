"""A comparison that `bo-shaping compare --output` wrote, read again."""

from collections.abc import Mapping
from typing import Any

from bo_shaping.comparison.settings import Setting
from bo_shaping.comparison.statistics import Training
from bo_shaping.comparison.summary import Comparison, summarise
from inner_loop.spec import CurvePoint


def trainings_of(data: Mapping[str, Any]) -> dict[str, list[Training]]:
    """The trainings of each method, in the order of the table, those of one seed at the same place.

    Args:
        data: What the file holds.
    """
    by_method: dict[str, list[Training]] = {row["method"]: [] for row in data["rows"]}
    for one in sorted(data["trainings"], key=lambda one: int(one["seed"])):
        points = [CurvePoint.model_validate(point) for point in one["curve"]]
        training = Training.of_curve(points, one["seconds"], data["n_steps"], data["max_kl"])
        by_method[one["method"]].append(training)
    return by_method


def derived_again(data: Mapping[str, Any]) -> Comparison:
    """The comparison made anew from the trainings that the file holds, whatever its rows say."""
    settings = {row["method"]: Setting(row["method"], row["weights"], row["parameters"]) for row in data["rows"]}
    n_steps, max_kl, n_trials = (data[name] for name in ("n_steps", "max_kl", "n_trials"))
    return summarise(trainings_of(data), settings, n_steps=n_steps, max_kl=max_kl, n_trials=n_trials)
