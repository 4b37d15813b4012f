"""Real studies of the tasks beside the embedded one: what a later study of the embedded task may learn from.

    python -m experiments.benchmarks.outer_loop.related_tasks
    python -m experiments.benchmarks.outer_loop.related_studies --jobs 2

Each is `experiments/wide.yaml` on another task, 24 trainings; studies are resumed where they were stopped. All trials
together go into `related_studies.json.gz`.
"""

from __future__ import annotations

import argparse
import gzip
import json
import sys
from pathlib import Path
from typing import Any

from experiments.benchmarks.outer_loop.real_studies import whole_study
from experiments.benchmarks.outer_loop.related_tasks import TASKS
from experiments.benchmarks.outer_loop.runs import add_run, read_runs, run_in_parts

RUNS = Path(__file__).parents[3] / "models" / "related-studies-runs"
FILE = Path(__file__).with_name("related_studies.json.gz")
N_STUDIES = 2
"""Studies of each task."""

Trial = dict[str, Any]
"""`weights`, `parameters`, `outcomes` and `seeds`, as a study keeps those of a related task."""


def load() -> dict[tuple[str, int], list[Trial]]:
    """The trials of each study, by task and number."""
    with gzip.open(FILE, "rt", encoding="utf-8") as stream:
        return {(study["task"], study["number"]): study["trials"] for study in json.load(stream)}


def run_study(task: str, number: int, root: Path) -> list[Trial]:
    """The trials of a whole study."""
    related = TASKS[task]
    settings = [f"name={task}-{number}", f"seed={2000 + number}", f"ppo.steps={related.steps}"]
    settings += [f"task.policy={related.task.policy}", f"task.reward_model={related.task.reward_model}"]
    study = whole_study([*settings, "n_samples=0"], root)
    return [
        {
            "weights": record.weights,
            "parameters": record.parameters,
            "outcomes": {"reward": record.mean, "kl": record.kl},
            "seeds": list(record.seeds),
        }
        for record in study.folder.records()
        if record.status == "completed"
    ]


def main() -> None:
    """Start the parts as processes and wait; pack what there is."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--jobs", type=int, default=2, help="studies at the same time")
    parser.add_argument("--runs", type=Path, default=RUNS, help="where results go")
    parser.add_argument("--task", choices=TASKS, action="append", help="this task; may be repeated (all)")
    parser.add_argument("--part", type=int, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.part is None:
        ended_well = run_in_parts(__spec__.name, sys.argv[1:], arguments.jobs)
        studies = sorted(read_runs(arguments.runs), key=lambda run: (run["task"], run["number"]))
        FILE.write_bytes(gzip.compress(json.dumps(studies).encode(), mtime=0))
        sys.exit(not ended_well)

    import torch

    torch.set_num_threads(1)
    done = {(run["task"], run["number"]) for run in read_runs(arguments.runs)}
    todo = [(task, number) for number in range(N_STUDIES) for task in arguments.task or TASKS]
    for task, number in todo[arguments.part :: arguments.jobs]:
        if (task, number) not in done:
            trials = run_study(task, number, arguments.runs / "studies")
            add_run({"task": task, "number": number, "trials": trials}, arguments.runs / f"{task}-{number}.jsonl")


if __name__ == "__main__":
    main()
