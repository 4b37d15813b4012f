"""Train the embedded task all over a wide space: components that differ, and the parameters that matter, several seeds.

    python -m experiments.benchmarks.outer_loop.train_wide_surface --jobs 2

One line of JSON per training goes to `--runs`, so that it continues where it was stopped, and what `wide_surface` has
packed is not trained again; several machines may each take a `--slice` of the list. A training takes 15 to 25 CPU
seconds.
"""

from __future__ import annotations

import argparse
import gzip
import json
import math
import sys
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from scipy.stats import qmc

from experiments.benchmarks.outer_loop.runs import Run, run_in_parts, train_each
from inner_loop.spec import AttributionConfig, EvaluationConfig, PPOConfig, TaskConfig, TrialSpec

RUNS = Path(__file__).parents[3] / "models" / "wide-surface-runs"
PACKED = Path(__file__).with_name("wide_surface.json.gz")
"""All trainings so far: `wide_surface` packs them."""
COMPONENTS = ("shap", "leave_one_out", "gradient", "entropy", "sparse")
BOX = {
    "max_units": (4.0, 24.0, True),
    "gae_lambda": (0.4, 1.0, False),
    "learning_rate": (2e-4, 1.6e-3, True),
    "kl_coef": (0.05, 0.4, True),
    "sharpness": (0.5, 2.0, True),
    "to_sparse": (0.0, 1.0, False),
    "critic_lambda": (0.5, 1.0, False),
}
"""Smallest and largest value of each parameter, and whether the space between is logarithmic."""
COUNTS = ("max_units",)
N_ARMS = 208
N_ALONE = 8
"""Arms of each component alone; the weights of the others are anywhere on the simplex."""
SEEDS = (0, 1, 2)
STEPS = 20
CONCENTRATION = 0.6
"""Of the Dirichlet distribution of the weights: below 1 there are more points near the faces than in the middle."""
BUDGET = 64
"""Reward-model evaluations per response, the same for all units."""
N_PROMPTS = 96
STOP_AT_KL = 10.0
"""Nats per response; smaller budgets are read off the curves."""
CURVE_EVERY = 2

Arm = dict[str, float]


def arms() -> list[Arm]:
    """Space-filling arms: weights `w_NAME` and parameters, always the same ones."""
    rng = np.random.default_rng(20261127)
    shares = qmc.Sobol(len(BOX), rng=rng).random(2 ** math.ceil(math.log2(N_ARMS)))[:N_ARMS]
    alone = np.repeat(np.eye(len(COMPONENTS)), N_ALONE, axis=0)
    anywhere = rng.dirichlet(np.full(len(COMPONENTS), CONCENTRATION), N_ARMS - len(alone)).round(6)
    anywhere[:, -1] = 1 - anywhere[:, :-1].sum(axis=1)
    weights = rng.permutation(np.concatenate([alone, anywhere])).clip(0, 1)
    return [_arm(row, point) for row, point in zip(weights, shares, strict=True)]


def packed_runs(file: Path = PACKED) -> list[Run]:
    """The trainings that are packed, one per arm and seed; none without the file, and none if it has other arms."""
    data = read_packed(file) if file.exists() else {}
    runs: list[Run] = data["runs"] if data.get("arms") == arms() else []
    return runs


def read_packed(file: Path) -> dict[str, Any]:
    """What `wide_surface` has packed: `arms`, `seeds` and `runs`."""
    data: dict[str, Any] = json.loads(gzip.decompress(file.read_bytes()))
    return data


def _arm(weights: NDArray[np.float64], shares: NDArray[np.float64]) -> Arm:
    arm = {f"w_{name}": round(float(weight), 6) for name, weight in zip(COMPONENTS, weights, strict=True)}
    return arm | {name: round(value, 6) for name, value in parameters_at(shares).items()}


def parameters_at(shares: NDArray[np.float64]) -> dict[str, float]:
    """The parameters at shares between 0 and 1 of their ranges."""
    values = {
        name: low * (high / low) ** share if log else low + share * (high - low)
        for (name, (low, high, log)), share in zip(BOX.items(), shares.tolist(), strict=True)
    }
    return {name: round(value) if name in COUNTS else value for name, value in values.items()}


def spec_of(
    arm: Arm,
    seed: int,
    *,
    steps: int = STEPS,
    split: Literal["validation", "heldout"] = "validation",
    task: TaskConfig | None = None,
) -> TrialSpec:
    """The training of an arm; its curve goes as far as any KL budget that will be asked about."""
    return TrialSpec(
        task=task or TaskConfig(),
        weights={name: arm[f"w_{name}"] for name in COMPONENTS},
        attribution=AttributionConfig(
            units="spans", max_units=int(arm["max_units"]), budget=BUDGET, sharpness=arm["sharpness"]
        ),
        ppo=PPOConfig(
            steps=steps,
            epochs=2,
            stop_at_kl=STOP_AT_KL,
            **{name: arm[name] for name in ("gae_lambda", "learning_rate", "kl_coef", "to_sparse", "critic_lambda")},
        ),
        evaluation=EvaluationConfig(n_prompts=N_PROMPTS, every=CURVE_EVERY, split=split),
        seed=seed,
        n_samples=0,
    )


def train(runs: Path, part: int, parts: int, places: slice) -> None:
    """Train every `parts`-th arm and seed of a slice of the list that has no result yet, from `part` on."""
    listed, known = arms(), {(run["arm"], run["seed"]) for run in packed_runs()}
    todo = [(place, seed) for seed in SEEDS for place in range(len(listed))][places]
    todo = [key for key in todo if key not in known]
    train_each(
        [({"arm": place, "seed": seed}, spec_of(listed[place], seed)) for place, seed in todo[part::parts]], runs
    )


def main() -> None:
    """Start the parts as processes and wait."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--jobs", type=int, default=2, help="trainings at the same time")
    parser.add_argument("--runs", type=Path, default=RUNS, help="where results go")
    parser.add_argument("--slice", type=int, nargs=2, default=(0, None), help="first and last place of the list")
    parser.add_argument("--part", type=int, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.part is not None:
        train(arguments.runs, arguments.part, arguments.jobs, slice(*arguments.slice))
        return
    sys.exit(not run_in_parts(__spec__.name, sys.argv[1:], arguments.jobs))


if __name__ == "__main__":
    main()
