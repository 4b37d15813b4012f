"""500 fast trials through the real driver: its CPU seconds, its memory, and whether a trial got lost.

The search space, the objective and the size of the results are the quickstart's. The study is driven in legs by
processes of their own, so that memory after 100 trials and after 500 is that of two drivers on one study; between two
legs it is resumed. A trial that takes no time is the hardest for the driver, which can do its work at leisure while
real trials run. What it costs to wait for trials that take a minute, two at a time, is measured with trials that wait,
and added.

With `--driven 20` only the last 20 trials of every leg are driven; those before them are random arms, written down with
their results at once.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import fmean, median
from typing import Any

from tabulate import tabulate

from experiments.benchmarks.bars import Bar
from experiments.benchmarks.outer_loop.fast_loop import LOG_VARIABLE
from experiments.benchmarks.outer_loop.scale_job import NAME

LEGS = (100, 200, 500)
"""Trials in all after each leg; the study of 200 is the one whose resume is timed."""
PARALLEL = 4
TRIAL_SECONDS = 60
WAITED_FOR = 2
"""Trials that a driver waits for at once."""
WAIT_SECONDS = 30
OVERHEAD_LIMIT = 0.02
GROWTH_LIMIT = 1.1
"""Memory after the last leg in units of that after the first."""
RESUME_LIMIT = 5.0


def measure(
    legs: tuple[int, ...] = LEGS,
    parallel: int = PARALLEL,
    wait_seconds: int = WAIT_SECONDS,
    driven: int | None = None,
) -> dict[str, Any]:
    """Drive, resume, count what is in files, database and log, and wait.

    Args:
        legs: Trials in all after each leg.
        parallel: Trials at once.
        wait_seconds: How long the trials take that are waited for.
        driven: Trials at the end of a leg that are driven; None for all.
    """
    with tempfile.TemporaryDirectory() as folder:
        os.environ[LOG_VARIABLE] = str(Path(folder) / "log.jsonl")
        measured, resumed = [], None
        for trials in legs:
            if driven is not None:
                job("fill", folder, str(trials - driven), str(parallel))
            measured.append(job("drive", folder, str(trials), str(parallel)))
            print(f"  {measured[-1]}", flush=True)
            if trials == legs[-2]:
                resumed = [job("resume", folder) for _ in range(3)]
        return {
            "parallel": parallel,
            "legs": measured,
            "resume": resumed,
            "n_trials_at_resume": legs[-2],
            **audit(Path(folder)),
            "waiting": job("wait", folder, str(wait_seconds), str(WAITED_FOR)),
        }


def job(*arguments: str) -> dict[str, Any]:
    """Run `scale_job` and return what it measured."""
    command = [sys.executable, "-W", "ignore", "-m", "experiments.benchmarks.outer_loop.scale_job", *arguments]
    environment = os.environ | {"OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "passive", "GOMP_SPINCOUNT": "0"}
    run = subprocess.run(command, capture_output=True, text=True, env=environment)
    if run.returncode:
        raise RuntimeError(f"{' '.join(command)} ended with {run.returncode}:\n{run.stderr[-2000:]}")
    result: dict[str, Any] = json.loads(run.stdout.splitlines()[-1])
    return result


def audit(folder: Path) -> dict[str, Any]:
    """Trials that are not the same in the log of the inner loop, in the records and in Ax's experiment."""
    os.environ["BO_SHAPING_STUDIES"] = str(folder)
    from bo_shaping.study import Study

    study = Study.load(NAME)
    trained = Path(os.environ[LOG_VARIABLE]).read_text(encoding="utf-8").splitlines()
    records = study.folder.records()
    data = study.ax_client._experiment.lookup_data().df
    rewards = data[data["metric_name"] == "reward"].set_index("trial_index")["mean"]
    same = sum(
        record.status == "completed" and abs(rewards.get(record.index, float("nan")) - record.mean) < 1e-6
        for record in records
    )
    return {
        "n_trained": len(trained),
        "n_records": len(records),
        "n_same_in_ax": int(same),
    }


def waiting_seconds(result: dict[str, Any]) -> float:
    """CPU seconds that waiting adds to a trial."""
    waiting = result["waiting"]
    return float(waiting["cpu_seconds_per_second"] * TRIAL_SECONDS / waiting["parallel"])


def bars(result: dict[str, Any]) -> list[Bar]:
    """Overhead, memory, lost updates and resume."""
    legs, n, waiting = result["legs"], result["n_records"], waiting_seconds(result)
    trials = [seconds + waiting for leg in legs for seconds in leg["trial_cpu_seconds"]]
    proposing = sum(leg["proposing_cpu_seconds"] for leg in legs) / len(trials)
    first, last = legs[0]["rss_mb"], legs[-1]["rss_mb"]
    seconds = sorted(resumed["resume_seconds"] for resumed in result["resume"])
    unit = f"in units of a {TRIAL_SECONDS} s trial"
    note = f"{fmean(trials):.2f} CPU s, of which {proposing:.2f} for the candidate, {waiting:.2f} to wait; {n} trials"
    worst = f"{max(trials):.2f} CPU s"
    return [
        Bar(f"driver CPU per trial, {unit}, mean", fmean(trials) / TRIAL_SECONDS, "<=", OVERHEAD_LIMIT, note=note),
        Bar(f"driver CPU per trial, {unit}, median", median(trials) / TRIAL_SECONDS, "<=", OVERHEAD_LIMIT),
        Bar(f"driver CPU per trial, {unit}, worst", max(trials) / TRIAL_SECONDS, "<=", OVERHEAD_LIMIT, note=worst),
        Bar(
            "memory at the end over memory after the first leg", last / first, "<=", GROWTH_LIMIT, note=f"{last:.0f} MB"
        ),
        Bar("trials lost or not the same everywhere", n - result["n_same_in_ax"], "<=", 0),
        Bar("trainings beyond one per trial", result["n_trained"] - n, "<=", 0),
        Bar(
            f"seconds to resume {result['n_trials_at_resume']} trials, after imports",
            seconds[len(seconds) // 2],
            "<=",
            RESUME_LIMIT,
            seconds[0],
            seconds[-1],
            note=f"median and range; {min(resumed['resume_cpu_seconds'] for resumed in result['resume']):.2f} CPU s",
        ),
    ]


def table_of(result: dict[str, Any]) -> str:
    """The legs; of those measured before single trials were told apart, what they have."""
    rows = []
    for leg in result["legs"]:
        n, single = leg["n_trials"], leg.get("trial_cpu_seconds")
        rows.append(
            [
                n,
                f"{leg['cpu_seconds'] / n:.2f}",
                f"{median(single):.2f}" if single else "",
                f"{max(single):.2f}" if single else "",
                f"{leg['proposing_cpu_seconds'] / n:.2f}",
                f"{leg['snapshot_cpu_seconds'] / n:.2f}" if single else "",
                f"{leg['wall_seconds'] / n:.2f}",
                f"{leg['rss_mb']:.0f}",
            ]
        )
    headers = ["trials of the leg", "driver CPU s a trial", "median", "worst", "for the candidate", "for the snapshot"]
    headers += ["wall s a trial", "MB at its end"]
    table = tabulate(rows, headers=headers, tablefmt="github", disable_numparse=True)
    if "waiting" not in result:
        return table
    return (
        f"{table}\n\nTo wait for a trial of {TRIAL_SECONDS} s, two at a time, adds {waiting_seconds(result):.2f} CPU s."
    )
