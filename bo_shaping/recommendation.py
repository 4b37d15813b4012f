"""The recommendation of a study as plain data, and its file: read without Ax, so that `best` answers at once."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bo_shaping.executors.folder import write_atomically
from bo_shaping.store import StudyFolder

Array = NDArray[np.float64]

CREDIBILITY = 0.9
"""Probability inside every interval."""


@dataclass(frozen=True)
class Best:
    """The recommendation: the allowed point of highest posterior mean, never the luckiest observation."""

    weights: dict[str, float]
    parameters: dict[str, float]
    """Training parameters that go with the weights, such as `gae_lambda`."""
    interval: dict[str, tuple[float, float]]
    """90 % credible interval of the best value of every weight and training parameter."""
    mean: float
    """Expected validation reward."""
    mean_interval: tuple[float, float]
    """90 % credible interval of the expected validation reward (without the noise of one training)."""
    kl: float
    """Expected KL to the reference."""
    prob_better_than_sparse: float
    """Probability that its expected reward exceeds that of pure sparse with sparse's own best training parameters."""
    prob_better_than: dict[str, float]
    """The same against every single component."""
    n_trials: int
    """Completed trials behind it."""
    nearest_trial: int
    """Index of the completed trial whose arm is nearest."""
    note: str
    """What a reader must know before using it; empty if nothing."""

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "Best":
        """The recommendation from plain JSON data."""
        interval = {name: (float(low), float(high)) for name, (low, high) in data["interval"].items()}
        low, high = data["mean_interval"]
        return cls(**{**data, "interval": interval, "mean_interval": (low, high)})


@dataclass(frozen=True)
class Surface:
    """The posterior over the simplex, with the training parameters held at the recommended ones."""

    components: list[str]
    """Order of the columns of `weights` and `draws`."""
    weights: Array
    """`g x k` mixing weights."""
    parameters: dict[str, float]
    """The recommended training parameters."""
    mean: Array
    """`g` posterior means of the reward."""
    sd: Array
    """`g` posterior standard deviations of the reward."""
    kl: Array
    """`g` posterior means of the KL."""
    draws: Array
    """`s x k` best weights, one row per joint draw of reward and KL (training parameters free)."""

    def to_json(self) -> dict[str, Any]:
        """Plain data."""
        return {
            "components": self.components,
            "parameters": self.parameters,
            **{name: getattr(self, name).round(5).tolist() for name in ("weights", "mean", "sd", "kl", "draws")},
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "Surface":
        """The surface from plain JSON data."""
        arrays = {name: np.asarray(data[name], dtype=float) for name in ("weights", "mean", "sd", "kl", "draws")}
        return cls(components=list(data["components"]), parameters=dict(data["parameters"]), **arrays)


def read_recommendation(folder: StudyFolder) -> tuple[Best, Surface] | None:
    """The stored recommendation if it rests on the trials that are completed now, else None."""
    try:
        stored = json.loads(folder.best_file.read_text(encoding="utf-8"))
        best, surface = Best.from_json(stored["best"]), Surface.from_json(stored["surface"])
    except (OSError, KeyError, TypeError, ValueError):
        return None
    n_completed = sum(record.status == "completed" for record in folder.records())
    return (best, surface) if best.n_trials == n_completed else None


def write_recommendation(folder: StudyFolder, best: Best, surface: Surface) -> None:
    """Store a recommendation."""
    write_atomically(folder.best_file, json.dumps({"best": asdict(best), "surface": surface.to_json()}))
