"""A finished study as it was while it ran: for pictures of the live screen that show a real run.

The journal is cut behind the ending of some trial. Trials that ran then have no result yet, and of their progress only
what they had written: events carry no time, so they are taken to lie evenly between a trial's beginning and its end.
Both locks are held, as by the processes that ran then.
"""

import json
import os
import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from bo_shaping.storage.study_folder import StudyFolder
from bo_shaping.storage.trial_folder import Worker

_LATER = ("study.db", "ax_experiment.json", "best.json", "index.html")
"""Files of a study that say more than was known then."""


@dataclass(frozen=True)
class Moment:
    """A study at a time of its run."""

    folder: StudyFolder
    launched: float
    """Seconds since the epoch at which its first trial began."""
    time: float
    """And those of this moment."""


@contextmanager
def moment(study: Path, copy: Path, n_ended: int, share: float = 0.6) -> Iterator[Moment]:
    """The study after so many trials had ended, in a folder of its own.

    Args:
        study: A finished study, whose files have the times at which they were written.
        copy: Where to put it; must not exist.
        n_ended: How many trials had ended.
        share: How much of the time until the next one ended had passed.
    """
    shutil.copytree(study, copy, ignore=shutil.ignore_patterns(*_LATER, "workers"))
    begins = {int(each.name): (each / "spec.json").stat().st_mtime for each in (study / "trials").iterdir()}
    ends = {int(each.name): (each / "result.json").stat().st_mtime for each in (study / "trials").iterdir()}
    kept: list[str] = []
    running: set[int] = set()
    ended: set[int] = set()
    upcoming = None
    for line in (study / "journal.jsonl").read_text(encoding="utf-8").splitlines(keepends=True):
        record = json.loads(line)["content"].get("record", {})
        if record.get("status") == "completed" and len(ended) == n_ended:
            upcoming = int(record["index"])
            break
        kept.append(line)
        if record.get("status") == "running":
            running.add(int(record["index"]))
        elif record.get("status") == "completed":
            ended.add(int(record["index"]))
            running.discard(int(record["index"]))
    if upcoming is None:
        raise ValueError(f"{study} has no trial that ended after {n_ended} others.")
    last = max([ends[index] for index in ended] + [begins[index] for index in running])
    now = last + share * (ends[upcoming] - last)
    (copy / "journal.jsonl").write_text("".join(kept), encoding="utf-8")
    for trial in (copy / "trials").iterdir():
        if int(trial.name) not in running | ended:
            shutil.rmtree(trial)
    folder = StudyFolder(copy)
    with ExitStack() as held:
        held.enter_context(folder.driver_lock())
        for index in running:
            files = folder.trial(index)
            (files.path / "result.json").unlink()
            events = (files.path / "progress.jsonl").read_text(encoding="utf-8").splitlines(keepends=True)
            done = (now - begins[index]) / (ends[index] - begins[index])
            (files.path / "progress.jsonl").write_text("".join(events[: round(done * len(events))]), encoding="utf-8")
            held.enter_context(files.locked(Worker(pid=os.getpid(), started=begins[index])))
        yield Moment(folder, min(begins.values()), now)
