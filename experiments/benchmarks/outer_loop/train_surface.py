"""Train the embedded task on a grid of simplex x gae_lambda x seed: a real surface to try outer loops on.

    python -m experiments.benchmarks.outer_loop.train_surface --jobs 2

One line of JSON per training goes to `models/surface-runs`, so that it continues where it was stopped. A training takes
about 15 CPU seconds, the whole grid an hour. `surface` packs the runs.
"""

from __future__ import annotations

import argparse
import itertools
import json
import sys
from pathlib import Path
from typing import Any

from experiments.benchmarks.outer_loop.runs import add_run, read_runs, run_in_parts
from inner_loop.spec import AttributionConfig, EvaluationConfig, PPOConfig, TrialSpec

HERE = Path(__file__).parent
RUNS = HERE.parents[2] / "models" / "surface-runs"
COMPONENTS = ("shap", "lime", "sparse")
STEPS = 5
"""Lattice steps per weight: 21 mixtures."""
LAMBDAS = (0.5, 0.7, 0.9, 1.0)
SEEDS = (0, 1, 2)
CURVE_EVERY = 5
"""PPO steps between two points of the learning curve."""


def mixtures() -> list[dict[str, float]]:
    """The lattice on the simplex."""
    return [
        {"shap": i / STEPS, "lime": j / STEPS, "sparse": (STEPS - i - j) / STEPS}
        for i in range(STEPS + 1)
        for j in range(STEPS + 1 - i)
    ]


def specs() -> list[TrialSpec]:
    """One training per grid point and seed: spans, 32 evaluations, one learning rate; first seed first."""
    return [
        TrialSpec(
            weights=weights,
            attribution=AttributionConfig(units="spans", max_units=8, budget=32),
            ppo=PPOConfig(steps=20, epochs=2, learning_rate=4e-4, kl_coef=0.2, gae_lambda=gae_lambda),
            evaluation=EvaluationConfig(n_prompts=256, every=CURVE_EVERY),
            seed=seed,
            n_samples=0,
        )
        for seed, weights, gae_lambda in itertools.product(SEEDS, mixtures(), LAMBDAS)
    ]


def train(part: int, parts: int) -> None:
    """Train every `parts`-th spec that has no result yet, from `part` on."""
    from inner_loop import result_of, run_trial

    file = RUNS / f"part{part}.jsonl"
    done = {key_of(run) for run in read_runs(RUNS)}
    for spec in specs()[part::parts]:
        run: dict[str, Any] = {"weights": spec.weights, "gae_lambda": spec.ppo.gae_lambda, "seed": spec.seed}
        if key_of(run) in done:
            continue
        result = result_of(run_trial(spec))
        run |= {
            "mean": result.mean,
            "sem": result.sem,
            "kl": result.kl,
            "curve": [[point.step, point.mean, point.kl] for point in result.curve],
            "seconds": sum(result.seconds.values()),
        }
        add_run(run, file)


def key_of(run: dict[str, Any]) -> str:
    """What tells one training from another."""
    return json.dumps([run["weights"], run["gae_lambda"], run["seed"]], sort_keys=True)


def main() -> None:
    """Start the parts as processes and wait."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--jobs", type=int, default=2, help="trainings at the same time")
    parser.add_argument("--part", type=int, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.part is not None:
        train(arguments.part, arguments.jobs)
        return
    sys.exit(not run_in_parts(__spec__.name, sys.argv[1:], arguments.jobs))


if __name__ == "__main__":
    main()
