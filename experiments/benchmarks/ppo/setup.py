"""What the second and every later trial of one process pays before its first step, models being loaded already."""

from __future__ import annotations

from statistics import median
from typing import Any

from experiments.benchmarks.bars import Bar
from inner_loop import TrialSpec, result_of, run_trial
from inner_loop.ppo.loaded_models import drop_loaded_models
from inner_loop.spec import EvaluationConfig, TaskConfig
from inner_loop.trial import TRAINING_PHASES

LIMIT = 0.05
N_TRIALS = 7
STEPS = 3


def measure(
    *, trials: int = N_TRIALS, steps: int = STEPS, batch: int = 32, response_tokens: int = 24
) -> dict[str, Any]:
    """Wall seconds of the set-up and of one step, trial by trial; the first one loads."""
    drop_loaded_models()
    ppo = {"steps": steps, "rollout_size": batch, "minibatch_size": batch, "precision": "bfloat16"}
    runs = []
    for seed in range(trials):
        spec = TrialSpec.model_validate(
            {
                "weights": {"sparse": 1.0},
                "task": TaskConfig(response_tokens=response_tokens),
                "ppo": ppo,
                "evaluation": EvaluationConfig(n_prompts=2, every=max(steps, 1)),
                "seed": seed,
                "n_samples": 0,
            }
        )
        seconds = result_of(run_trial(spec)).seconds
        runs.append(
            {"setup": seconds["setup"], "step": sum(seconds[phase] for phase in TRAINING_PHASES) / max(steps, 1)}
        )
    return {"steps": steps, "wall_seconds": runs}


def shares(result: dict[str, Any]) -> list[float]:
    """Set-up of every trial but the first, in steps of the same trial."""
    return [run["setup"] / run["step"] for run in result["wall_seconds"][1:]]


def bars(result: dict[str, Any]) -> list[Bar]:
    """The interval is the range over trials."""
    values = shares(result)
    first = result["wall_seconds"][0]
    note = f"the first trial, which loads: {first['setup'] / first['step']:.2f}"
    return [Bar("set-up of a later trial, in PPO steps", median(values), "<=", LIMIT, min(values), max(values), note)]


def table_of(result: dict[str, Any]) -> str:
    """One line."""
    later = result["wall_seconds"][1:]
    return (
        f"set-up {result['wall_seconds'][0]['setup']:.3f} s in the first trial, "
        f"{median(run['setup'] for run in later):.4f} s in {len(later)} later ones; "
        f"a step takes {median(run['step'] for run in later):.2f} s"
    )
