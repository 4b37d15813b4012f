"""Does learning the shaping pay? Whole studies with real trainings, each judged with fresh seeds on held-out prompts.

    python -m experiments.benchmarks.outer_loop.real_studies --jobs 2

Every study is `experiments/wide.yaml` with a seed of its own: 24 trainings, a recommendation. What it recommends is
trained with fresh seeds, and compared, seed by seed, with the settings of `fresh_seeds`. Those had more
than a study has: sparse and Shapley credit alone stand there at the best of many more trainings than 24. Studies are
resumed where they were stopped; trainings go to `--runs`, one line each, and all together into `real_studies.json.gz`.
"""

from __future__ import annotations

import argparse
import gzip
import json
import math
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from tabulate import tabulate

from bo_shaping.config import StudyConfig
from experiments.benchmarks.outer_loop import fresh_seeds
from experiments.benchmarks.outer_loop.fresh_seeds import PAPERS, SPARSE, first_reached, kept_curve, kl_after
from experiments.benchmarks.outer_loop.runs import Run, add_run, read_runs, run_in_parts
from experiments.benchmarks.outer_loop.train_wide_surface import COMPONENTS, STEPS, Arm, spec_of
from experiments.benchmarks.outer_loop.wide_surface import RESULTS, USUAL_BUDGET
from experiments.benchmarks.results_file import environment, installed, save

if TYPE_CHECKING:
    from bo_shaping import Study

Array = NDArray[np.float64]

FILE = Path(__file__).with_name("real_studies.json.gz")
RUNS = Path(__file__).parents[3] / "models" / "real-studies-runs"
CONFIG = Path(__file__).parents[2] / "wide.yaml"
N_STUDIES = 10
N_FRESH = 3
"""Fresh seeds that judge a recommendation."""
N_RESAMPLES = 2000


def fresh(study: int) -> list[int]:
    """The seeds that judge study number `study`; every seed of `fresh_seeds` judges as many studies."""
    return [fresh_seeds.SEEDS[(study * N_FRESH + i) % len(fresh_seeds.SEEDS)] for i in range(N_FRESH)]


def whole_study(settings: Sequence[str], root: Path) -> Study:
    """A finished study of `experiments/wide.yaml` with other settings, run or gone on with in this process."""
    from bo_shaping import Study
    from bo_shaping.errors import StudyExistsError

    config = StudyConfig.from_yaml(CONFIG, ["executor=inline", "budget.parallel=1", *settings])
    os.environ["BO_SHAPING_STUDIES"] = str(root)
    try:
        running = Study.launch(config)
    except StudyExistsError:
        running = Study.load(config.name)
    running.run()
    return running


def run_study(study: int, runs: Path) -> Run:
    """Run a study, or go on with it, and say what it recommends."""
    running = whole_study([f"name=wide-{study}", f"seed={1000 + study}"], runs / "studies")
    best = running.best()
    return {
        "study": study,
        "weights": best.weights,
        "parameters": best.parameters,
        "mean": best.mean,
        "mean_interval": best.mean_interval,
        "prob_better_than_sparse": best.prob_better_than_sparse,
        "simplest": None if best.simplest is None else best.simplest.weights,
        "matters": best.matters,
        "trial_seconds": [record.seconds for record in running.folder.records()],
    }


def arm_of(found: Run) -> Arm:
    """The recommendation of a study as an arm of the wide surface; what was not searched is as in its file."""
    weights = {f"w_{name}": round(found["weights"].get(name, 0.0), 6) for name in COMPONENTS}
    searched = {name: float(value) for name, value in found["parameters"].items()}
    return PAPERS | weights | searched | {"critic_lambda": searched["gae_lambda"]}


def train(runs: Path, part: int, parts: int) -> None:
    """Run every `parts`-th study from `part` on and judge it."""
    from inner_loop import result_of, run_trial

    for study in range(N_STUDIES)[part::parts]:
        done = [run for run in read_runs(runs) if run["study"] == study]
        file = runs / f"part{part}.jsonl"
        found = next((run for run in done if "weights" in run), None)
        if found is None:
            found = run_study(study, runs)
            add_run(found, file)
        for seed in fresh(study):
            if any(run.get("seed") == seed for run in done):
                continue
            result = result_of(run_trial(spec_of(arm_of(found), seed, split="heldout")))
            curve = [[point.step, round(point.mean, 5), round(point.kl, 5)] for point in result.curve]
            seconds = {phase: round(value, 2) for phase, value in result.seconds.items()}
            add_run({"study": study, "seed": seed, "curve": curve, "seconds": seconds}, file)


def measure(runs: list[Run], others: list[Run]) -> dict[str, Any]:
    """Studies beside each other setting: gains by study, paired by seed, and steps to where sparse ends."""
    settings = fresh_seeds.settings(others)
    curves = {
        name: {run["seed"]: kept_curve(run["curve"]) for run in others if (run["setting"], run["arm"]) == (name, arm)}
        for name, arm in settings.items()
    }
    target = float(np.mean([curve[-1] for curve in curves[SPARSE].values()]))
    studies = []
    for found in sorted((run for run in runs if "weights" in run), key=lambda run: int(run["study"])):
        judged = {run["seed"]: run for run in runs if run["study"] == found["study"] and "seed" in run}
        if set(judged) != set(fresh(found["study"])):
            continue
        ours = {seed: kept_curve(run["curve"]) for seed, run in judged.items()}
        mean_curve = np.mean(list(ours.values()), axis=0)
        steps = first_reached(mean_curve, target)
        training = [
            sum(run["seconds"][phase] for phase in ("sample", "attribute", "update")) / run["curve"][-1][0]
            for run in judged.values()
        ]
        studies.append(
            {
                **{name: found[name] for name in ("study", "weights", "parameters", "simplest")},
                "prob_better_than_sparse": found["prob_better_than_sparse"],
                "study_seconds": sum(seconds or 0.0 for seconds in found["trial_seconds"]),
                "held": float(mean_curve[1:].mean()),
                "reward_at_the_budget": float(mean_curve[-1]),
                "steps_to_sparse": steps,
                "kl_there": kl_after([run["curve"] for run in judged.values()], steps),
                "seconds_per_step": float(np.mean(training)),
                "gain": {
                    name: {
                        "at_the_budget": float(np.mean([ours[s][-1] - others_[s][-1] for s in ours])),
                        "held": float(np.mean([np.mean(ours[s][1:]) - np.mean(others_[s][1:]) for s in ours])),
                    }
                    for name, others_ in curves.items()
                },
            }
        )
    rows = [
        {
            "beside": name,
            **{
                kind: _interval([study["gain"][name][kind] for study in studies], np.mean)
                for kind in ("at_the_budget", "held")
            },
            "ahead": sum(study["gain"][name]["at_the_budget"] > 0 for study in studies),
        }
        for name in settings
    ]
    return {
        "max_kl": USUAL_BUDGET,
        "steps": STEPS,
        "trials": StudyConfig.from_yaml(CONFIG).budget.trials,
        "fresh_seeds": N_FRESH,
        "target": target,
        "studies": studies,
        "beside": rows,
        "steps_to_sparse": _interval([study["steps_to_sparse"] for study in studies], np.median),
        "kl_there": float(np.median([study["kl_there"] for study in studies])),
        "kl_of_sparse": kl_after([run["curve"] for run in others if run["setting"] == SPARSE], 1.0),
        "seconds_per_step": float(np.mean([study["seconds_per_step"] for study in studies])),
        "matters": _matters([found["matters"] for found in runs if found.get("matters")]),
    }


def _matters(found: list[dict[str, float]]) -> list[dict[str, Any]]:
    """What the studies say of importance (total Sobol indices, their mean and range), beside what the emulator says."""
    described = json.loads(RESULTS.read_text(encoding="utf-8"))["wide surface"]["result"]["importance"]
    by_emulator = {row["name"]: row["total"] for row in described}
    names = found[0] if found else {}
    return [
        {
            "name": name,
            "mean": float(np.mean([each[name] for each in found])),
            "low": min(each[name] for each in found),
            "high": max(each[name] for each in found),
            "emulator": by_emulator[name],
        }
        for name in names
    ]


def _interval(values: list[float], statistic: Callable[..., Any]) -> list[float]:
    """A statistic over studies, and the ends of its 95 % bootstrap interval."""
    picks = np.random.default_rng(0).integers(len(values), size=(N_RESAMPLES, len(values)))
    drawn = statistic(np.array(values)[picks], axis=1)
    low, high = np.quantile(drawn, [0.025, 0.975], method="nearest")
    return [float(statistic(values)), float(low), float(high)]


def table_of(record: dict[str, Any]) -> str:
    """The comparison, as text."""

    def interval(numbers: list[float], places: str) -> str:
        value, low, high = (f"{number:{places}}" if math.isfinite(number) else "never" for number in numbers)
        return f"{value} ({low} to {high})"

    beside = [
        [row["beside"], interval(row["at_the_budget"], "+.2f"), row["ahead"], interval(row["held"], "+.2f")]
        for row in record["beside"]
    ]
    studies = [
        [
            study["study"],
            ", ".join(f"{name} {weight:.2f}" for name, weight in study["weights"].items() if weight >= 0.005),
            ", ".join(f"{name} {value:.3g}" for name, value in study["parameters"].items()),
            f"{study['steps_to_sparse']:.2f}",
            f"{study['kl_there']:.1f}",
            f"{study['reward_at_the_budget']:.2f}",
        ]
        for study in record["studies"]
    ]
    matters = [
        [row["name"], f"{row['mean']:.2f} ({row['low']:.2f} to {row['high']:.2f})", f"{row['emulator']:.2f}"]
        for row in record["matters"]
    ]
    return (
        f"{len(record['studies'])} studies of {record['trials']} trials, each judged with {record['fresh_seeds']} "
        f"fresh seeds on held-out prompts; KL budget {record['max_kl']:g}; 95 % intervals over studies\n"
        "share of the steps to where sparse at its best ends (median): "
        f"{interval(record['steps_to_sparse'], '.2f')},\nat KL {record['kl_there']:.1f} (median), where sparse ends at "
        f"{record['kl_of_sparse']:.1f}\n\n"
        + tabulate(beside, headers=["recommended less", "at the budget", "studies ahead", "reward held"])
        + "\n\n"
        + tabulate(
            studies, headers=["study", "mixture", "parameters", "steps to sparse's", "KL there", "reward at the budget"]
        )
        + "\n\nimportance (total Sobol index): the studies' mean and range, and that of the emulator of all trainings\n"
        + tabulate(matters, headers=["of", "studies", "emulator"])
    )


def main() -> None:
    """Run what is missing, then compare and store."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--jobs", type=int, default=2, help="studies at the same time")
    parser.add_argument("--runs", type=Path, default=RUNS, help="where studies and trainings go")
    parser.add_argument("--part", type=int, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.part is not None:
        train(arguments.runs, arguments.part, arguments.jobs)
        return
    if not run_in_parts(__spec__.name, sys.argv[1:], arguments.jobs):
        sys.exit(1)
    runs = read_runs(arguments.runs)
    # Without the time in its header, equal runs make equal files.
    FILE.write_bytes(gzip.compress(json.dumps(runs).encode(), mtime=0))
    with gzip.open(fresh_seeds.FILE, "rt", encoding="utf-8") as stream:
        result = measure(runs, json.load(stream))
    save(RESULTS, "studies", {"result": result, "environment": environment(installed(["tabulate"]))})
    print(table_of(result))


if __name__ == "__main__":
    main()
