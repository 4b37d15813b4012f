"""Trainings outside a search: jobs by name, each in a folder of its own, side by side, and kept whatever happens.

A training that is done is not run again, one that was interrupted goes on from its checkpoint, and one that had failed
is given another chance the next time.
"""

import time
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path

from bo_shaping.config import StudyConfig
from bo_shaping.errors import StudyLockedError
from bo_shaping.executors import Executor, make_executor
from bo_shaping.storage.file_locks import try_hold
from bo_shaping.storage.study_folder import StudyFolder
from bo_shaping.storage.trial_folder import Job, TrialFolder

POLL_SECONDS = 0.2

FIRST_FRESH_SEED = 1_000_000
"""Seeds from here on are of trainings that judge what a study has found: no trial of a study has them."""


def run_trainings(
    config: StudyConfig,
    path: Path,
    jobs: Mapping[str, Job],
    on_change: Callable[[int, int], None] = lambda n_done, n_jobs: None,
) -> dict[str, TrialFolder]:
    """Run jobs with the executor of a study.

    Args:
        config: Says where they run, and how many side by side (`budget.parallel`).
        path: Folder of them all; nobody else may use it.
        jobs: By name, which is that of the job's folder in `path`.
        on_change: Called with how many have ended, of how many.

    Returns:
        The folder of each job; ask it for its results, or why there are none.

    Raises:
        StudyLockedError: If another process runs trainings there.
    """
    path.mkdir(parents=True, exist_ok=True)
    folders = {name: TrialFolder(path / name) for name in jobs}
    with (path / "trainings.lock").open("ab") as lock:
        if not try_hold(lock):
            raise StudyLockedError(f"Another process runs the trainings in {path}; wait for it, or stop it.")
        for name, job in jobs.items():
            folders[name].prepare(job)
            if folders[name].has_failed():
                folders[name].forget_ending()
        executor = make_executor(config, StudyFolder(path))
        try:
            _run(executor, folders, jobs, config, on_change)
        except KeyboardInterrupt:
            for folder in folders.values():
                if not folder.is_done():
                    executor.stop(folder)
            raise
        finally:
            executor.close()
    return folders


def _run(
    executor: Executor,
    folders: Mapping[str, TrialFolder],
    jobs: Mapping[str, Job],
    config: StudyConfig,
    on_change: Callable[[int, int], None],
) -> None:
    attempts: Counter[str] = Counter()
    open_ = [name for name, folder in folders.items() if not folder.is_done()]
    running = [name for name in open_ if executor.state(folders[name]) == "running"]
    while True:
        for name in list(running):
            folder = folders[name]
            state = executor.state(folder)
            if state in ("dead", "hung"):
                reason = executor.reason(folder)
                executor.stop(folder)
                if not folder.is_done():
                    if attempts[name] <= config.workers.retries:
                        attempts[name] += 1
                        executor.start(folder)
                    else:
                        folder.write_failure(jobs[name].token, f"tried {attempts[name]} times: {reason}")
            if folder.is_done():
                running.remove(name)
        open_ = [name for name in open_ if not folders[name].is_done()]
        for name in open_:
            if len(running) < config.budget.parallel and name not in running:
                attempts[name] += 1
                running.append(name)
                executor.start(folders[name])
        on_change(len(folders) - len(open_), len(folders))
        if not open_:
            return
        time.sleep(POLL_SECONDS)
