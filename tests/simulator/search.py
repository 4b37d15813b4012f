"""Looks for a schedule under which something that must hold does not, and cuts it down."""

import multiprocessing
import os
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass, replace
from pathlib import Path
from random import Random

from bo_shaping.storage.ledger import Ledger
from tests.simulator.agreement import check_agreement
from tests.simulator.schedules import FaultKind, Script, drawn
from tests.simulator.studies import (
    N_TRIALS,
    PARALLEL,
    Cast,
    PlainLedger,
    copy_base,
    drive,
    ledger_of,
    make_base,
    start_cast,
)
from tests.simulator.system import Doors, simulated
from tests.simulator.watch import Watch
from tests.simulator.world import World, WorldError

PROFILES: tuple[tuple[FaultKind, ...], ...] = (
    (),
    (),
    ("kill",),
    ("kill", "interrupt"),
    ("stop",),
    ("long stop",),
    ("long stop",),
    ("kill", "stop", "long stop", "clock"),
    ("disk",),
)
"""What may go wrong; the seed chooses."""

RESTARTS = 4
"""How often a user resumes a study, in peace, that is not complete."""

SHORTEST_WAY = 400
"""Schedules that are tried to cut one down."""

PART = 250
"""Schedules that one process plays at a time."""


@dataclass(frozen=True)
class Finding:
    """A schedule that breaks something."""

    seed: int
    what: str
    script: Script
    error: BaseException
    trace: tuple[str, ...] = ()


class Search:
    """Plays schedules, each on a fresh copy of a study that has just been created.

    Args:
        folder: Where those studies are made, and where worlds come and go: best in memory.
        is_whole: Whether the ledger is the real one, with the Ax experiment, the database and the snapshot, which takes
            twenty times as long.
    """

    def __init__(self, folder: Path, *, is_whole: bool = False) -> None:
        self._folder = folder
        self._is_whole = is_whole
        self._bases = {parallel: make_base(folder, parallel, is_whole=is_whole) for parallel in PARALLEL}

    def play(self, seed: int, script: Script | None = None, *, traced: bool = False) -> Finding | None:
        """Run the study of a seed under its schedule, or under this one; None if all holds."""
        random = Random(seed)
        kinds = random.choice(PROFILES)
        cast = Cast.drawn(random, has_rival="long stop" in kinds)
        script = drawn(seed, kinds) if script is None else Script(dict(script.who), dict(script.faults))
        faults = dict(script.faults)
        root = Path(tempfile.mkdtemp(prefix="world-", dir=self._folder))
        watch = Watch(copy_base(self._bases[cast.parallel], root).path)
        world = watch.world = World(str(root), script, watch.listen)
        world.trace = [] if traced else None
        world.reuses_pids = random.random() < 0.5
        try:
            with simulated(Doors(world, None, Random(seed))):
                error = _error_of(world, cast, watch, script, self._is_whole)
        finally:
            shutil.rmtree(root, ignore_errors=True)
        if error is None:
            return None
        what = (str(error) if isinstance(error, WorldError) else f"{type(error).__name__}: {error}").replace(
            str(root), "ROOT"
        )
        return Finding(seed, what, Script(script.played, faults), error, tuple(world.trace or ()))

    def findings(self, seeds: Iterable[int]) -> Iterator[Finding]:
        """Those of the seeds' schedules that break something."""
        for seed in seeds:
            finding = self.play(seed)
            if finding is not None:
                yield finding

    def cut_down(self, finding: Finding) -> Finding:
        """The same with as few moments out of the ordinary as are found to be enough."""
        tries, size = SHORTEST_WAY, len(finding.script.who) + len(finding.script.faults)
        while tries > 0 and size > 0:
            keys = [("who", key) for key in finding.script.who] + [("faults", at) for at in finding.script.faults]
            shorter = None
            for first in range(0, len(keys), size):
                left_out = set(keys[first : first + size])
                shorter = self.play(finding.seed, _without(finding.script, left_out))
                tries -= 1
                if shorter is not None or tries <= 0:
                    break
            if shorter is not None and len(shorter.script.who) + len(shorter.script.faults) < len(keys):
                finding = shorter
                size = min(size, len(finding.script.who) + len(finding.script.faults))
            else:
                size //= 2
        traced = self.play(finding.seed, finding.script, traced=True)
        return finding if traced is None else replace(finding, trace=traced.trace)


def _without(script: Script, left_out: set[tuple[str, object]]) -> Script:
    return Script(
        {key: value for key, value in script.who.items() if ("who", key) not in left_out},
        {key: value for key, value in script.faults.items() if ("faults", key) not in left_out},
    )


def _error_of(world: World, cast: Cast, watch: Watch, script: Script, is_whole: bool) -> Exception | None:
    try:
        _run_to_end(world, cast, watch, script, ledger_of(is_whole))
        watch.finish(N_TRIALS)
        if is_whole:
            check_agreement(watch.path)
    except Exception as error:  # whatever it is, it is what the search is for
        return error
    finally:
        world.end()
    return None


def _run_to_end(world: World, cast: Cast, watch: Watch, script: Script, ledger_class: type[Ledger]) -> None:
    """The study with whatever goes wrong; then, as long as it is not complete, its user resumes it in peace."""
    start_cast(world, cast, watch.path, ledger_class)
    world.run()
    script.calm(world)
    world.run()
    for restart in range(RESTARTS):
        # The last driver may have been killed between two of the places that must agree.
        if watch.is_complete(N_TRIALS) and (restart > 0 or ledger_class is PlainLedger):
            break
        world.start("resumed driver", lambda: drive(watch.path, cast.parallel, ledger_class))
        world.run()


def fast_folder() -> str | None:
    """A folder in memory, if there is one."""
    return "/dev/shm" if os.access("/dev/shm", os.W_OK) else None  # noqa: S108 - only where to make one of our own


def search(
    seeds: range, n_processes: int, *, is_whole: bool = False, tell: Callable[[int], None] = lambda n_played: None
) -> list[tuple[int, str]]:
    """The seeds that break something, and what, found by several processes.

    Args:
        seeds: Which schedules to play.
        n_processes: How many play them.
        is_whole: As of `Search`.
        tell: Told now and then how many were played.
    """
    size = min(PART, -(-len(seeds) // n_processes))
    parts = [seeds[first : first + size] for first in range(0, len(seeds), size)]
    found, n_played = [], 0
    # Not forked from here: a child would keep the locks that threads of this process held, and its signal handlers.
    clean = multiprocessing.get_context("forkserver")
    with ProcessPoolExecutor(n_processes, mp_context=clean) as pool:
        for done in as_completed([pool.submit(_search_part, part, is_whole) for part in parts]):
            part, findings = done.result()
            n_played += len(part)
            found += findings
            tell(n_played)
    return sorted(found)


def _search_part(seeds: range, is_whole: bool) -> tuple[range, list[tuple[int, str]]]:
    with tempfile.TemporaryDirectory(prefix="simulator-", dir=fast_folder()) as folder:
        return seeds, [(one.seed, one.what) for one in Search(Path(folder), is_whole=is_whole).findings(seeds)]
