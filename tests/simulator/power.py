"""Cuts the power at every step of a study, and looks whether what it had reported is there when it is resumed."""

import hashlib
import json
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from random import Random

from bo_shaping.errors import TrialResultError
from bo_shaping.storage.study_folder import StudyFolder
from tests.simulator.disk import Disk, Kept, restore
from tests.simulator.schedules import Script
from tests.simulator.studies import N_TRIALS, copy_base, drive, ledger_of, make_base
from tests.simulator.system import Doors, simulated
from tests.simulator.watch import Watch
from tests.simulator.world import Process, World, WorldError

PARALLEL = 2


@dataclass(frozen=True)
class Cut:
    """A moment without power."""

    step: int
    kept: Kept
    """What the disk has."""
    reported: dict[int, str]
    """Status of each trial, as the driver has reported it before."""


def cuts(root: Path, base: Path, *, is_whole: bool) -> tuple[list[Cut], int]:
    """A study that nobody disturbs, and what is left of it if the power goes at a step: once for each state of the
    disk. Also the number of steps.
    """
    folder = copy_base(base, root)
    watch, found, seen, reported = Watch(folder.path), [], set(), {}
    disk = Disk(str(root))

    def listen(what: str, process: Process) -> None:
        watch.listen(what, process)
        if what.startswith("reported"):
            _, index, status = what.split()
            reported[int(index)] = status
        kept = disk.after_power_cut()
        state = (_digest(kept), tuple(sorted(reported.items())))
        if state not in seen:
            seen.add(state)
            found.append(Cut(watch.world.n_steps, kept, dict(reported)))

    world = _drive_alone(watch, root, listen, disk, is_whole=is_whole)
    return found, world.n_steps


def broken(folder: Path, every: int = 1, *, is_whole: bool = False) -> Iterator[tuple[int, str]]:
    """The steps after which something is lost or changed, or the study does not go on, and what.

    Args:
        folder: Where studies are made.
        every: Which of the states of the disk are tried, one of so many.
        is_whole: With the real ledger: Ax experiment, database and snapshot too.
    """
    base = make_base(folder, PARALLEL, is_whole=is_whole)
    with tempfile.TemporaryDirectory(prefix="world-", dir=folder) as root:
        found, _ = cuts(Path(root), base, is_whole=is_whole)
    for cut in found[::every]:
        with tempfile.TemporaryDirectory(prefix="world-", dir=folder) as root:
            problem = _problem_after(cut, Path(root), is_whole=is_whole)
        if problem is not None:
            yield cut.step, problem


def _problem_after(cut: Cut, root: Path, *, is_whole: bool) -> str | None:
    restore(cut.kept, root)
    study = StudyFolder(root / "study")
    try:
        records = {record.index: record for record in study.records()}
        for index, status in cut.reported.items():
            # What was written down and not yet reported may be there too.
            if index not in records or (status != "running" and records[index].status != status):
                return f"trial {index} was reported as {status}, and is not"
            if status == "completed":
                study.trial(index).results()
        watch = Watch(study.path)
        _drive_alone(watch, root, watch.listen, None, is_whole=is_whole)
    except (WorldError, TrialResultError) as error:
        return str(error)
    return None


def _drive_alone(
    watch: Watch, root: Path, listen: Callable[[str, Process], None], disk: Disk | None, *, is_whole: bool
) -> World:
    """The study to its end, nobody else being there."""
    world = watch.world = World(str(root), Script(), listen)
    world.is_told_all = disk is not None
    with simulated(Doors(world, disk, Random(0))):
        try:
            world.start("driver", lambda: drive(watch.path, PARALLEL, ledger_of(is_whole)))
            world.run()
            watch.finish(N_TRIALS)
        finally:
            world.end()
    return world


def _digest(kept: Kept) -> str:
    content = {path: None if data is None else hashlib.sha256(data).hexdigest() for path, data in kept.items()}
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
