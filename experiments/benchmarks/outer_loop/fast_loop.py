"""An inner loop that takes no time: what the driver costs is then all there is to see."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from inner_loop.spec import CurvePoint, TrialProgress, TrialResult, TrialSpec

LOG_VARIABLE = "BO_SHAPING_FAST_LOOP_LOG"
"""Environment variable that names a file, which gets one line per training."""


def run_trial(spec: TrialSpec) -> Iterator[TrialProgress]:
    """A noisy quadratic with its optimum inside the simplex."""
    with Path(os.environ[LOG_VARIABLE]).open("a", encoding="utf-8") as log:
        log.write(f"{spec.model_dump_json()}\n")
    yield TrialProgress(step=0, n_steps=1)
    weights = np.array(list(spec.weights.values()))
    noise = np.random.default_rng(abs(hash((tuple(weights), spec.seed)))).normal(scale=0.2)
    mean = float(1 - 3 * ((weights - np.array([0.5, 0.3, 0.2])) ** 2).sum() + noise)
    point = CurvePoint(step=1, mean=mean, sem=0.1, kl=3.0, kl_k3=3.0, entropy=1.0, length=20.0, distinct_2=1.0)
    return TrialResult(
        mean=mean,
        sem=0.1,
        kl=3.0 + weights[0],
        curve=[point],
        scores=[mean],
        steps=[],
        samples=[],
        seconds={"update": 0.0},
        peak_memory_mb=1.0,
        seed=spec.seed,
    )
