"""500 fast trials, 16 at a time, through the real driver: its CPU seconds, its memory, and whether a trial got lost.

The study is driven in legs by processes of their own, so that memory after 100 trials and after 500 is that of two
drivers on one study; between two legs it is resumed. A trial that takes no time is the hardest for the driver, which
can do its work at leisure while real trials run.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from tabulate import tabulate

from experiments.benchmarks.bars import Bar
from experiments.benchmarks.outer_loop.fast_loop import LOG_VARIABLE
from experiments.benchmarks.outer_loop.scale_job import NAME

LEGS = (100, 200, 500)
"""Trials in all after each leg; the study of 200 is the one whose resume is timed."""
PARALLEL = 16
TRIAL_SECONDS = 60
OVERHEAD_LIMIT = 0.02
GROWTH_LIMIT = 1.1
"""Memory after the last leg in units of that after the first."""
RESUME_LIMIT = 5.0


def measure(legs: tuple[int, ...] = LEGS, parallel: int = PARALLEL) -> dict[str, Any]:
    """Drive, resume, and count what is in files, database and log."""
    with tempfile.TemporaryDirectory() as folder:
        os.environ[LOG_VARIABLE] = str(Path(folder) / "log.jsonl")
        driven, resumed = [], None
        for trials in legs:
            driven.append(job("drive", folder, str(trials), str(parallel)))
            print(f"  {driven[-1]}", flush=True)
            if trials == legs[-2]:
                resumed = [job("resume", folder) for _ in range(3)]
        return {
            "parallel": parallel,
            "legs": driven,
            "resume": resumed,
            "n_trials_at_resume": legs[-2],
            **audit(Path(folder)),
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


def bars(result: dict[str, Any]) -> list[Bar]:
    """Overhead, memory, lost updates and resume."""
    legs, n = result["legs"], result["n_records"]
    per_trial = sum(leg["cpu_seconds"] for leg in legs) / n
    proposing = sum(leg["proposing_cpu_seconds"] for leg in legs) / n
    first, last = legs[0]["rss_mb"], legs[-1]["rss_mb"]
    seconds = sorted(resumed["resume_seconds"] for resumed in result["resume"])
    return [
        Bar(
            f"driver CPU per trial without the candidate, in units of a {TRIAL_SECONDS} s trial",
            (per_trial - proposing) / TRIAL_SECONDS,
            "<=",
            OVERHEAD_LIMIT,
            note=f"{per_trial - proposing:.2f} CPU s; {n} trials",
        ),
        Bar(
            f"driver CPU per trial with the candidate, in units of a {TRIAL_SECONDS} s trial",
            per_trial / TRIAL_SECONDS,
            "<=",
            OVERHEAD_LIMIT,
            note=f"{proposing:.2f} CPU s for the candidate; {n} trials",
        ),
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
    """The legs."""
    rows = [
        [
            leg["n_trials"],
            f"{leg['cpu_seconds'] / leg['n_trials']:.2f}",
            f"{leg['proposing_cpu_seconds'] / leg['n_trials']:.2f}",
            f"{leg['wall_seconds'] / leg['n_trials']:.2f}",
            f"{leg['rss_mb']:.0f}",
        ]
        for leg in result["legs"]
    ]
    headers = ["trials of the leg", "driver CPU s a trial", "for the candidate", "wall s a trial", "MB at its end"]
    return tabulate(rows, headers=headers, tablefmt="github", disable_numparse=True)
