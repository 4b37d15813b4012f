"""The file of the last recommendation: read without Ax, so that `best` answers at once."""

import hashlib
import json
from dataclasses import asdict

from bo_shaping.config import StudyConfig
from bo_shaping.config.changes import HARMLESS
from bo_shaping.storage.study_folder import StudyFolder
from bo_shaping.surrogate.recommendation import Best, Surface
from inner_loop.io.atomic_file import write_atomically

FORMAT = 5
"""Goes up when the same trials give another file: one of an earlier version of this package is not read."""


def read_recommendation(folder: StudyFolder) -> tuple[Best, Surface] | None:
    """The stored recommendation if it rests on this configuration and the trials finished now, else None."""
    try:
        stored = json.loads(folder.best_file.read_text(encoding="utf-8"))
        best, surface = Best.from_json(stored["best"]), Surface.from_json(stored["surface"])
        if stored["format"] != FORMAT or stored["config"] != _fingerprint(folder.config()):
            return None
    except (OSError, KeyError, TypeError, ValueError):
        return None
    n_finished = sum(record.status in ("completed", "stopped") for record in folder.records())
    return (best, surface) if best.n_trials == n_finished else None


def write_recommendation(folder: StudyFolder, config: StudyConfig, best: Best, surface: Surface) -> None:
    """Store a recommendation made under this configuration."""
    stored = {"format": FORMAT, "config": _fingerprint(config), "best": asdict(best), "surface": surface.to_json()}
    write_atomically(folder.best_file, json.dumps(stored))


def _fingerprint(config: StudyConfig) -> str:
    """A hash of what a recommendation depends on besides the trials."""
    # A setting that a later version adds changes nothing for who has not set it.
    relevant = config.model_dump_json(exclude=set(HARMLESS), exclude_defaults=True)
    return hashlib.sha256(relevant.encode()).hexdigest()
