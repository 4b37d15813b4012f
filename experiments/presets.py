"""The shaping functions that ship with the package, made from the stored results that speak for them.

    python -m experiments.presets            write them anew
    python -m experiments.presets --check    exit with 1 if they are not what the results say

Every number of their cards comes from `experiments/benchmarks/results/wide_surface.json`; `docs/evidence.md` says what
the numbers mean.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from bo_shaping import StudyConfig
from experiments.benchmarks.outer_loop.train_wide_surface import BUDGET
from inner_loop import ShapingFunction
from inner_loop.shaping_card import FILE, README, ShapingEvidence
from inner_loop.spec import AttributionConfig

ROOT = Path(__file__).resolve().parents[1]
FOLDER = ROOT / "inner_loop" / "presets"
RESULTS = ROOT / "experiments" / "benchmarks" / "results" / "wide_surface.json"
WIDE = ROOT / "experiments" / "wide.yaml"

TASK = "the embedded task: policy, reward model and prompts that ship with the package, responses of up to 20 tokens"
VERSIONS = ("python", "torch", "transformers")
BEST_ALONE, SPARSE = "Shapley, its best", "sparse, its best"
STUDY = 0
"""The first of the studies that were run, whatever it found."""


def embedded_shapley(results: dict[str, Any]) -> ShapingFunction:
    """The best setting of Shapley credit alone, out of several hundred trainings, judged with ten fresh seeds."""
    stored = results["fresh seeds"]["result"]
    row = next(row for row in stored["settings"] if row["setting"] == BEST_ALONE)
    arm, (mean, low, high) = row["arm"], row["reward_at_the_budget"]
    gain = row["gain_at_the_budget"]
    evidence = ShapingEvidence(
        task=TASK,
        source="experiments.benchmarks.outer_loop.fresh_seeds",
        objective=f"reward on held-out prompts within KL {stored['max_kl']:g}",
        mean=mean,
        interval=(low, high),
        credibility=0.95,
        trials=results["wide surface"]["result"]["trainings"],
        parameters={name: arm[name] for name in ("gae_lambda", "learning_rate", "kl_coef")},
        notes=(
            f"The expected reward is that of {len(stored['seeds'])} fresh seeds, {stored['steps']} steps each, and "
            "the interval is over seeds.",
            f"Beyond the sparse reward at its own best parameters, paired by seed: {_signed(gain)}.",
            f"Reaches what sparse ends with after {row['steps_to_sparse'][0]:.2f} of the steps.",
            "Found by trainings all over a wide space of settings; on another task it is a guess, and a study is the "
            "way to know.",
        ),
        versions=_versions(results["fresh seeds"]["environment"]),
    )
    attribution = AttributionConfig(units="spans", max_units=int(arm["max_units"]), budget=BUDGET)
    return ShapingFunction({"shap": 1.0}, attribution, evidence=evidence)


def embedded_wide(results: dict[str, Any]) -> ShapingFunction:
    """What the first of ten whole studies of 24 trainings recommends, judged with fresh seeds."""
    stored = results["studies"]["result"]
    row = next(row for row in stored["studies"] if row["study"] == STUDY)
    beside = next(row for row in stored["beside"] if row["beside"] == SPARSE)
    gain = row["gain"][SPARSE]["at_the_budget"]
    parameters = dict(row["parameters"])
    config = StudyConfig.from_yaml(WIDE)
    attribution = config.attribution.model_copy(update={"max_units": int(parameters.pop("max_units"))})
    evidence = ShapingEvidence(
        task=TASK,
        source="experiments/wide.yaml, the first of ten repeats",
        objective=f"reward on held-out prompts within KL {stored['max_kl']:g}",
        mean=row["reward_at_the_budget"],
        trials=stored["trials"],
        prob_better_than_sparse=row["prob_better_than_sparse"],
        parameters=parameters,
        notes=(
            f"The expected reward is the mean of {stored['fresh_seeds']} fresh seeds, too few for an interval; the "
            "probability is the study's own.",
            f"Beyond the sparse reward at its own best parameters, with the same seeds: {gain:+.2f}.",
            f"All {len(stored['studies'])} repeats together: {_signed(beside['at_the_budget'])}, 95 % over studies; "
            f"ahead of sparse in {beside['ahead']}, each with another mixture.",
            "No better than Shapley credit alone at its best: see the preset embedded-shapley.",
        ),
        versions=_versions(results["studies"]["environment"]),
    )
    return ShapingFunction(row["weights"], attribution, evidence=evidence)


PRESETS: dict[str, Callable[[dict[str, Any]], ShapingFunction]] = {
    "embedded-shapley": embedded_shapley,
    "embedded-wide": embedded_wide,
}
"""By the name that `ShapingFunction.preset` takes."""


def write_presets(folder: Path, results: Path = RESULTS) -> None:
    """Write every preset into `folder`."""
    stored = json.loads(results.read_text(encoding="utf-8"))
    for name, make in PRESETS.items():
        make(stored).save(folder / name)


def outdated(results: Path = RESULTS) -> list[str]:
    """The files of the package that are not what the results say."""
    with tempfile.TemporaryDirectory() as fresh:
        write_presets(Path(fresh), results)
        made = {
            f"{name}/{file}": (Path(fresh) / name / file).read_bytes() for name in PRESETS for file in (README, FILE)
        }
    there = {path.relative_to(FOLDER).as_posix(): path.read_bytes() for path in FOLDER.rglob("*") if path.is_file()}
    return sorted(name for name in made.keys() | there.keys() if made.get(name) != there.get(name))


def main(argv: Sequence[str] | None = None) -> int:
    """The command line; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="write nothing")
    if not parser.parse_args(argv).check:
        write_presets(FOLDER)
        return 0
    wrong = outdated()
    if wrong:
        print(f"not what the results say: {', '.join(wrong)}; run: python -m experiments.presets")
    return int(bool(wrong))


def _signed(interval: Sequence[float]) -> str:
    value, low, high = interval
    return f"{value:+.2f} ({low:+.2f} to {high:+.2f})"


def _versions(environment: dict[str, Any]) -> dict[str, str]:
    return {name: str(environment[name]) for name in VERSIONS}


if __name__ == "__main__":
    sys.exit(main())
