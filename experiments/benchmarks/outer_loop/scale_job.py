"""Drives the study of `scale` in a process of its own, whose CPU seconds and memory are then the driver's alone.

    python -m experiments.benchmarks.outer_loop.scale_job drive FOLDER TRIALS PARALLEL
    python -m experiments.benchmarks.outer_loop.scale_job resume FOLDER

The last line printed is JSON.
"""

from __future__ import annotations

import contextlib
import json
import os
import resource
import sys
import time
from pathlib import Path
from typing import Any

NAME = "scale"


class _ReachedProposalError(Exception):
    """The study is loaded and reconciled, and would propose now."""


def main(task: str, folder: str, *numbers: str) -> None:
    """One task."""
    os.environ["BO_SHAPING_STUDIES"] = folder
    result = drive(*(int(number) for number in numbers)) if task == "drive" else resume()
    print(json.dumps(result))


def drive(n_trials: int, parallel: int) -> dict[str, Any]:
    """Launch the study, or go on, until it has so many trials."""
    import torch

    from bo_shaping.config import StudyConfig
    from bo_shaping.storage import ledger
    from bo_shaping.study import Study

    torch.set_num_threads(1)
    root = Path(os.environ["BO_SHAPING_STUDIES"])
    if (root / NAME).exists():
        study = Study.load(NAME)
    else:
        config = StudyConfig.model_validate(
            {
                "name": NAME,
                "inner_loop": "experiments.benchmarks.outer_loop.fast_loop:run_trial",
                "search_space": {"parameters": {}},
                "objective": {"max_kl": None},
                "budget": {"trials": 10_000, "parallel": parallel},
            }
        )
        study = Study.launch(config)
    n_known = len(study.folder.records())
    proposing = 0.0
    propose = ledger.propose

    def timed(*arguments: Any, **options: Any) -> Any:
        nonlocal proposing
        start = time.process_time()
        try:
            return propose(*arguments, **options)
        finally:
            proposing += time.process_time() - start

    ledger.propose = timed
    start, wall = time.process_time(), time.monotonic()
    study.run(n_trials - n_known)
    return {
        "n_trials": n_trials - n_known,
        "cpu_seconds": time.process_time() - start,
        "proposing_cpu_seconds": proposing,
        "wall_seconds": time.monotonic() - wall,
        "rss_mb": rss_mb(),
        "peak_rss_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }


def resume() -> dict[str, Any]:
    """Seconds from `Study.load` to the moment at which the driver asks for the next trial, imports apart."""
    start = time.monotonic()
    from bo_shaping.storage import ledger
    from bo_shaping.study import Study

    imports = time.monotonic() - start

    def propose(*arguments: Any, **options: Any) -> int:
        raise _ReachedProposalError

    ledger.propose = propose
    cpu, start = time.process_time(), time.monotonic()
    with contextlib.suppress(_ReachedProposalError):
        Study.load(NAME).run(1)
    return {
        "import_seconds": imports,
        "resume_seconds": time.monotonic() - start,
        "resume_cpu_seconds": time.process_time() - cpu,
    }


def rss_mb() -> float:
    """Resident memory of this process."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 1e6


if __name__ == "__main__":
    main(*sys.argv[1:])
