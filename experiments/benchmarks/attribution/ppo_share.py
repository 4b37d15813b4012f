"""Share of a PPO step of the quickstart that goes into credit, with all of its components on."""

from __future__ import annotations

from pathlib import Path
from statistics import median
from typing import Any

from experiments.benchmarks.bars import Bar
from inner_loop.spec import SPARSE

CONFIG = Path(__file__).resolve().parents[2] / "quickstart.yaml"
NOT_IN_A_STEP = ("setup", "evaluate", "explain")
"""Phases of a trial around its PPO steps: loading, validation, credit of the samples in the report."""
CREDIT = "attribute"
SHARE_LIMIT = 0.25


def measure(*, steps: int = 20, seeds: int = 3) -> dict[str, Any]:
    """Wall seconds per phase of trainings of the quickstart, on one thread: its explanations evenly mixed, and sparse.

    The phase in which credit is computed holds the scores, too, which PPO needs without any credit: a sparse training
    of the same seed shows what they take.
    """
    from bo_shaping import StudyConfig
    from inner_loop import TrialSpec, result_of, run_trial

    config = StudyConfig.from_yaml(CONFIG)
    dense = [name for name in config.search_space.components if name != SPARSE]

    def seconds_of(weights: dict[str, float], seed: int) -> dict[str, float]:
        spec = TrialSpec(
            weights=weights,
            task=config.task,
            attribution=config.attribution,
            ppo=config.ppo.model_copy(update={"steps": steps}),
            evaluation=config.evaluation.model_copy(update={"n_prompts": 2, "every": steps}),
            seed=seed,
            n_samples=0,
        )
        return in_steps(result_of(run_trial(spec)).seconds)

    mixed = [seconds_of(dict.fromkeys(dense, 1 / len(dense)), seed) for seed in range(seeds)]
    sparse = [seconds_of({SPARSE: 1.0}, seed) for seed in range(seeds)]
    return {
        "steps": steps,
        "budget": config.attribution.budget,
        "components": dense,
        "seconds": mixed,
        "scoring_seconds": [seconds[CREDIT] for seconds in sparse],
    }


def in_steps(seconds: dict[str, float]) -> dict[str, float]:
    """The phases that PPO steps consist of."""
    return {phase: value for phase, value in seconds.items() if phase not in NOT_IN_A_STEP}


def shares(result: dict[str, Any]) -> list[float]:
    """Credit's share of the step, per training."""
    return [
        (seconds[CREDIT] - scoring) / sum(seconds.values())
        for seconds, scoring in zip(result["seconds"], result["scoring_seconds"], strict=True)
    ]


def bars(result: dict[str, Any]) -> list[Bar]:
    """Median over trainings; the interval is their range."""
    values = shares(result)
    return [Bar("share of a PPO step spent on credit", median(values), "<=", SHARE_LIMIT, min(values), max(values))]


def table_of(result: dict[str, Any]) -> str:
    """Seconds per step, phase by phase."""
    phases = ", ".join(
        f"{phase} {median(run[phase] for run in result['seconds']) / result['steps']:.3f}"
        for phase in result["seconds"][0]
    )
    scoring = median(result["scoring_seconds"]) / result["steps"]
    return (
        f"{len(result['seconds'])} trainings of {result['steps']} steps; seconds per step: {phases}, of which scores "
        f"without credit {scoring:.3f}"
    )
