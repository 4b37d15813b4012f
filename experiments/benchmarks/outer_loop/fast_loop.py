"""An inner loop that takes no time, or just waits: what the driver costs is then all there is to see."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from experiments.benchmarks.full_result import full_result
from inner_loop.spec import TrialProgress, TrialSpec

LOG_VARIABLE = "BO_SHAPING_FAST_LOOP_LOG"
"""Environment variable that names a file, which gets one line per training."""
WAIT_VARIABLE = "BO_SHAPING_FAST_LOOP_SECONDS"
"""Environment variable with the seconds that a training waits; none without it."""
OPTIMUM = np.array([0.5, 0.3, 0.2])
"""Of the weights, in their order."""


def run_trial(spec: TrialSpec) -> Iterator[TrialProgress]:
    """A noisy quadratic with its optimum inside the space."""
    with Path(os.environ[LOG_VARIABLE]).open("a", encoding="utf-8") as log:
        log.write(f"{spec.model_dump_json()}\n")
    yield TrialProgress(step=0, n_steps=1)
    weights = np.array(list(spec.weights.values()))
    away = np.array([2 * (spec.ppo.gae_lambda - 0.75), math.log(spec.ppo.learning_rate / 7e-4) / 2])
    away = np.append(away, math.log(spec.attribution.max_units / 9) / 2)
    rng = np.random.default_rng(abs(hash((tuple(weights), spec.seed))))
    mean = float(1 - 3 * ((weights - OPTIMUM) ** 2).sum() - (away**2).sum() + rng.normal(scale=0.2))
    time.sleep(float(os.environ.get(WAIT_VARIABLE, "0")))
    return full_result(mean, 3.0 + weights[0], rng, spec.seed)
