"""How long the report of a large study takes, and how large it is: `python -m experiments.benchmarks.report_time`.

The study has as many trials as asked for, with learning curves of 21 points and explained responses, and noise. Nothing
is trained. What is timed is `write_report` in this process, imports aside: with the recommendation stored, as after
`best`, and without, when the Gaussian process is fitted first.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time

import numpy as np

from bo_shaping import Study, StudyConfig
from bo_shaping.running.transitions import completed
from bo_shaping.space.arms import to_arm, to_specs
from bo_shaping.storage.study_folder import ROOT_VARIABLE
from bo_shaping.storage.trial_folder import Job
from bo_shaping.views.report import write_report
from experiments.benchmarks.full_result import STEPS, full_result


def main() -> None:
    """Make the study, write its report twice, print seconds and bytes."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=500)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        os.environ[ROOT_VARIABLE] = folder
        study = large_study(options.trials)
        for what in ("fitting the recommendation first", "with the recommendation stored"):
            study, start = Study.load("large"), time.perf_counter()
            index = write_report(study)
            seconds = time.perf_counter() - start
            print(f"{options.trials} trials, {what}: {seconds:.1f} s, {index.stat().st_size / 1e6:.2f} MB")


def large_study(n_trials: int) -> Study:
    """A study called large, of trials that were not run."""
    config = StudyConfig.model_validate(
        {
            "name": "large",
            "executor": "inline",
            "inner_loop": "experiments.benchmarks.outer_loop.fast_loop:run_trial",
            "search_space": {"components": "papers"},
            "ppo": {"steps": STEPS},
            "budget": {"trials": n_trials},
        }
    )
    study, rng = Study.launch(config), np.random.default_rng(0)
    ledger, space = study._ledger, config.search_space
    with ledger.driven():
        for _ in range(n_trials):
            weights = dict(zip(space.components, map(float, rng.dirichlet(np.ones(3))), strict=True))
            low, high = space.ranges["gae_lambda"].bounds
            parameters = {name: float(np.mean(own.bounds)) for name, own in space.ranges.items()}
            parameters["gae_lambda"] = float(rng.uniform(low, high))
            entry = ledger.new_entry(to_arm(weights, parameters, space), "running", "random")
            result = full_result(1 - 3 * (weights["shap"] - 0.5) ** 2 + 0.2 * rng.standard_normal(), 9.0, rng)
            trial = study.folder.trial(entry.record.index)
            job = Job.of(config.inner_loop, to_specs(config, entry.arm, list(entry.record.seeds)))
            trial.prepare(job)
            trial.write_results(job.token, [result])
            ledger.write(completed(config, entry, [result]))
    return study


if __name__ == "__main__":
    main()
