"""Launch a study again and again, six trials side by side, and count the trials that were tried more than once.

    python -m experiments.benchmarks.outer_loop.launches [--launches 200]

Real processes, trainings that take no time: nobody dies, so no trial may have a second attempt. Prints a line and
writes experiments/benchmarks/results/outer_loop_launches.json. Exits with 1 if a trial was tried again or did not
complete.
"""

import argparse
import json
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

# Before torch is loaded, and before workers are started.
os.environ.setdefault("OMP_NUM_THREADS", "1")

from experiments.benchmarks.outer_loop.fast_loop import LOG_VARIABLE

RESULTS = Path(__file__).parents[1] / "results" / "outer_loop_launches.json"
PARALLEL = 6


def main() -> None:
    """Launch, print, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--launches", type=int, default=200)
    n_launches = parser.parse_args().launches
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        os.environ |= {"BO_SHAPING_STUDIES": folder, LOG_VARIABLE: f"{folder}/trainings.jsonl"}
        records = [record for number in range(n_launches) for record in launched(f"study{number}")]
    result = {
        "launches": n_launches,
        "parallel": PARALLEL,
        "trials": len(records),
        "completed": sum(record["status"] == "completed" for record in records),
        "tried again": sum(record["attempt"] > 1 for record in records),
        "seconds": round(time.monotonic() - began),
    }
    print(json.dumps(result))
    RESULTS.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    sys.exit(result["completed"] != result["trials"] or result["tried again"] > 0)


def launched(name: str) -> list[dict[str, Any]]:
    """The trials of one study, from launch to end."""
    from bo_shaping import Study, StudyConfig

    study = Study.launch(
        StudyConfig(
            name=name,
            inner_loop="experiments.benchmarks.outer_loop.fast_loop:run_trial",
            search_space={"components": "papers"},
            budget={"trials": PARALLEL, "parallel": PARALLEL},
            executor="process",
        )
    )
    study.run()
    return [{"status": record.status, "attempt": record.attempt} for record in study.folder.records()]


if __name__ == "__main__":
    main()
