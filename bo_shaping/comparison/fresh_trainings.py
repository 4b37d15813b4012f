"""Trainings of settings with seeds that no search has seen, judged on prompts that none has either."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from bo_shaping.comparison.settings import Setting
from bo_shaping.config import StudyConfig
from bo_shaping.errors import TrainingError
from bo_shaping.running.trainings import run_trainings
from bo_shaping.storage.trial_folder import Job, TrialFolder
from inner_loop.spec import TrialResult


class Trained(NamedTuple):
    """One training that is done."""

    setting: Setting
    folder: TrialFolder
    result: TrialResult


def train(
    config: StudyConfig,
    path: Path,
    jobs: Sequence[tuple[Setting, Mapping[str, Job]]],
    on_change: Callable[[int, int], None] = lambda n_done, n_jobs: None,
) -> list[Trained]:
    """Run the trainings of settings (`settings.jobs_of`); what is done already is not done again.

    Args:
        config: Says where they run.
        path: Folder of the trainings.
        jobs: Per setting, its trainings by the names of their folders.
        on_change: Called with how many trainings have ended, of how many.

    Returns:
        The trainings, by setting and then by seed.

    Raises:
        TrainingError: If one failed; the others are done and kept.
        StudyLockedError: If another process trains there.
    """
    all_jobs = {name: job for _, own in jobs for name, job in own.items()}
    folders = run_trainings(config, path, all_jobs, on_change)
    failed = [folder for folder in folders.values() if not folder.has_result()]
    if failed:
        raise TrainingError(
            f"{len(failed)} of {len(all_jobs)} trainings failed, the first of them with: {failed[0].failure_reason()}. "
            f"See to the cause ({failed[0].log_file}) and give the command again; what is done is kept."
        )
    return [Trained(setting, folders[name], folders[name].results()[0]) for setting, own in jobs for name in own]
