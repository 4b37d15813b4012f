"""How near is the credit of every component to the true advantage, and does that predict how fast it learns?

    python -m experiments.benchmarks.credit_truth
    python -m experiments.benchmarks.credit_truth --only forks --only learning
    python -m experiments.benchmarks.credit_truth --quick --output /tmp/credit_truth.json

Parts: `start` and `trained`, Monte-Carlo advantages of the embedded policy before and after PPO;
`forks`, tasks with a known decisive word; `learning`, how fast these are learned; `prediction`, of stored learning on
the embedded task. Parts that are not run keep their results.
Takes some ten CPU minutes on one thread; what was sampled stays in
`--samples`, so that a run that was stopped goes on. `docs/credit-ground-truth.md` says what the numbers mean.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import Any

import torch

from experiments.benchmarks.credit_truth import embedded, learning, prediction, tables
from experiments.benchmarks.credit_truth.estimators import CRITICS, LAMBDAS
from experiments.benchmarks.credit_truth.forks import all_forks
from experiments.benchmarks.results_file import environment, installed, save

PARTS = (*embedded.POLICIES, "forks", "learning", "prediction")
BENCHMARKS = Path(__file__).resolve().parents[1]
OUTPUT = BENCHMARKS / "results" / "credit_truth.json"
LEARNED = BENCHMARKS / "results" / "wide_surface.json"
SAMPLES = BENCHMARKS.parents[1] / "models" / "credit-truth-samples"
QUICK = {"n_responses": 3, "n_scored": 8, "n_explained": 2, "steps": 1}
N_QUICK_FORKS = 2
DIGITS = 4
"""Significant digits in the JSON."""


def main(arguments: list[str] | None = None) -> None:
    """Run, print and store."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", choices=PARTS, action="append", help="run this part; may be repeated (all)")
    parser.add_argument("--quick", action="store_true", help="a small version of every part, to see that it runs")
    parser.add_argument("--output", type=Path, default=OUTPUT, help="the JSON file")
    parser.add_argument("--samples", type=Path, default=SAMPLES, help="where samples are kept")
    given = parser.parse_args(arguments)
    torch.set_num_threads(1)
    for part in given.only or PARTS:
        start = time.process_time()
        result = run_part(part, quick=given.quick, output=given.output, samples=given.samples)
        print(f"\n# {part}\n\n{table_of(part, result)}", flush=True)
        record = {
            "environment": environment(installed(["tabulate"])),
            "quick": given.quick,
            "cpu_minutes": round((time.process_time() - start) / 60, 1),
            "result": rounded(result),
        }
        save(given.output, part, record)


def run_part(part: str, *, quick: bool, output: Path, samples: Path) -> dict[str, Any]:
    """Plain data of a part; `learning` and `prediction` read the results of those before them."""
    forks = all_forks()[:N_QUICK_FORKS] if quick else all_forks()
    if part in embedded.POLICIES:
        return embedded.measure(part, samples, **(QUICK if quick else {}))
    if part == "forks":
        return {"rows": [row for fork in forks for row in fork.describe(CRITICS, LAMBDAS)]}
    if part == "learning":
        speeds = learning.measure(forks, **({"n_seeds": 2, "steps": 2} if quick else {}))
        estimates = [row for fork in forks for row in fork.describe(CRITICS, LAMBDAS)]
        return {"settings": learning.SETTINGS, "speeds": speeds, "prediction": prediction.of_forks(estimates, speeds)}
    alone = json.loads(LEARNED.read_text(encoding="utf-8"))["wide surface"]["result"]["alone"]
    stored = json.loads(output.read_text(encoding="utf-8"))
    rows = [
        {"policy": policy, "critic": critic, "lambda": value, **row}
        for policy in embedded.POLICIES
        for critic, value in (("zero", 0.7), ("own", 1.0))
        for row in prediction.of_the_embedded_task(stored[policy]["result"], alone, critic=critic, gae_lambda=value)
    ]
    return {"alone": alone, "rows": rows}


def table_of(part: str, result: dict[str, Any]) -> str:
    """The part's tables, as text."""
    if part in embedded.POLICIES:
        return tables.embedded_table(result)
    if part == "forks":
        return tables.fork_table(result["rows"])
    return tables.learning_table(result) if part == "learning" else tables.embedded_prediction_table(result["rows"])


def rounded(value: Any) -> Any:
    """Plain data with floats of so many digits."""
    if isinstance(value, dict):
        return {key: rounded(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [rounded(part) for part in value]
    return float(f"{value:.{DIGITS}g}") if isinstance(value, float) else value


if __name__ == "__main__":
    main()
