"""A whole study in one file, which plain Ax can load: written again and again, so what has ended is encoded once."""

import json
from dataclasses import dataclass, field
from typing import Any

from ax.core.data import Data, DataRow
from ax.core.experiment import Experiment
from ax.storage.json_store.encoder import object_to_json
from ax.storage.json_store.registry import CORE_CLASS_ENCODER_REGISTRY, CORE_ENCODER_REGISTRY
from ax.storage.utils import data_to_data_by_trial

from bo_shaping.config import StudyConfig
from bo_shaping.libraries.ax_internals import data_rows, without_trials
from bo_shaping.storage.portable import KEY, FinishedTrial, PortableStudy, portable_study
from bo_shaping.storage.records import ENDED, Entry
from bo_shaping.storage.study_folder import StudyFolder
from inner_loop.io.atomic_file import write_atomically


@dataclass
class Known:
    """What need not be read and encoded again, of trials that have ended."""

    finished: dict[int, FinishedTrial] = field(default_factory=dict)
    """As of `portable_study`."""
    encoded: dict[int, tuple[Entry, dict[str, Any]]] = field(default_factory=dict)
    """By index, the state that a trial was encoded in, and how."""


def write_snapshot(
    experiment: Experiment, folder: StudyFolder, config: StudyConfig, known: Known | None = None
) -> None:
    """Write the snapshot, in one step.

    Args:
        experiment: The Ax experiment.
        folder: The study's.
        config: Its configuration.
        known: What earlier calls have learned; this one adds to it.
    """
    known = known or Known()
    study = portable_study(folder, config, known.finished)
    write_atomically(folder.snapshot_file, snapshot(experiment, study, known))


def snapshot(experiment: Experiment, study: PortableStudy, known: Known | None = None) -> str:
    """The experiment for `Client.load_from_json_file`, which then needs nothing of this package.

    Args:
        experiment: The Ax experiment, its trials in the states of `study.entries`.
        study: What `portable_study` gave; it stands among the experiment's properties.
        known: As of `write_snapshot`.
    """
    encoded = known.encoded if known is not None else {}
    parts: dict[int, dict[str, Any]] = {}
    rows: dict[int, list[DataRow]] = {}
    for row in data_rows(experiment):
        rows.setdefault(row.trial_index, []).append(row)
    for entry in study.entries:
        index = entry.record.index
        last, part = encoded.get(index, (None, {}))
        # A trial that is running has a learning curve of which its state says nothing.
        if last is not entry or entry.record.status not in ENDED:
            data = Data(data_rows=rows.get(index, []))
            part = _encoded({"trial": experiment.trials[index], "data": data_to_data_by_trial(data)})
            encoded[index] = (entry, part)
        parts[index] = part
    content = _encoded(without_trials(experiment))
    content["trials"] = {index: part["trial"] for index, part in parts.items()}
    content["data_by_trial"] = {index: data for part in parts.values() for index, data in part["data"].items()}
    content["properties"] = {**content["properties"], KEY: study.model_dump(mode="json")}
    # Without a strategy, which would name our acquisition class: plain Ax chooses its own when it is asked.
    return json.dumps({"_type": "Client", "experiment": content, "generation_strategy": None})


def _encoded(what: Any) -> Any:
    return object_to_json(
        what, encoder_registry=CORE_ENCODER_REGISTRY, class_encoder_registry=CORE_CLASS_ENCODER_REGISTRY
    )
