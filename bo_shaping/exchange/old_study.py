"""Trials of another study of ours, for a new question: its arms are points of the new space where that is true.

Where its trainings are others, of another policy or reward model or length, its trials say something of another task.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from bo_shaping.config import StudyConfig
from bo_shaping.config.changes import changed_fields
from bo_shaping.config.tunable import TUNABLE, value_of
from bo_shaping.exchange.foreign import ForeignExperiment, ForeignTrial, Outcome
from bo_shaping.storage.records import TrialRecord

_OUTCOME = ("task", "ppo", "attribution", "evaluation", "objective", "inner_loop")
"""Sections on which the outcome of a training depends."""


def from_study(
    before: Mapping[str, Any], records: Sequence[TrialRecord], config: StudyConfig, source: str
) -> ForeignExperiment:
    """The trials of a study with configuration `before`, as they look from the one with `config`.

    What a study did not search, it held: that is the value of all its trials.
    """
    old = StudyConfig.from_data({**before, "storage": None}, (), source)
    searched = set(old.search_space.parameters) | set(config.search_space.parameters)
    differs = tuple(
        f"{key} is {was!r} there and {now!r} here"
        for key, (was, now) in changed_fields(before, config).items()
        if key.split(".")[0] in _OUTCOME and key.split(".")[-1] not in searched
    )
    held = {name: value_of(name, old.ppo, old.attribution) for name in TUNABLE}
    constants = {
        name: value if isinstance(value, str) else float(value) for name, value in held.items() if value is not None
    }
    trials = [
        ForeignTrial(
            str(record.index),
            {**{f"w_{name}": weight for name, weight in record.weights.items()}, **record.parameters},
            _outcomes(record),
            None if record.status == "completed" else f"it is {record.status}",
            record.seeds,
        )
        for record in records
    ]
    return ForeignExperiment(source, trials, constants=constants, differs=differs)


def _outcomes(record: TrialRecord) -> dict[str, Outcome]:
    several = record.sem if len(record.seeds) > 1 else None
    return {"reward": (record.mean, several), "kl": (record.kl, None)} | {
        name: (value, None) for name, value in record.measures.items()
    }
