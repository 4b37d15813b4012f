"""Who goes on at each step, and what goes wrong: drawn from a seed, written down, played again, cut down.

A schedule is what it does out of the ordinary. Ordinarily the thread that runs goes on until it sleeps, then the oldest
that is awake, then the one that wakes first, and nothing goes wrong. So a schedule that fails can be cut down to the
few moments that matter.
"""

import errno
import math
import os
import signal
from dataclasses import dataclass, field
from random import Random
from typing import Literal

from tests.simulator.world import Process, Thread, World

FaultKind = Literal["kill", "interrupt", "stop", "long stop", "clock", "disk"]

WRITE_ERRORS = (errno.ENOSPC, errno.EIO, errno.EROFS)
WRITING = ("open w", "open a", "open x", "write", "fsync", "mkdir", "replace", "truncate")
READING = ("open r", "read", "scandir")

EXPECTED_STEPS = 900
"""About as many has a study of three trials: where changes of priority are drawn from."""

DRIVER_STEPS, WORKER_STEPS = 360, 200
"""About as many have a driver and a worker of it: where faults are drawn from."""

HURRY = 25.0
"""How many times as long everybody sleeps while a process is stopped for long: as if an hour passed."""


@dataclass(frozen=True)
class Fault:
    """Something that goes wrong when a process makes a step."""

    kind: FaultKind
    steps: int = 0
    """For how long a process is stopped, or a disk is bad."""
    seconds: float = 0.0
    """By how much the wall clock jumps."""
    error: int = 0
    """What the disk says."""


Faults = dict[tuple[int, int], Fault]
"""By number of the process, and of the step that it makes."""


@dataclass
class Script:
    """A schedule as it is written down and played."""

    who: dict[int, int] = field(default_factory=dict)
    """By number of the choice: the thread that goes on, where that is not the ordinary one."""
    faults: Faults = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.played: dict[int, int] = {}
        self._n_choices = 0
        self._stopped_until: dict[Process, int] = {}
        self._bad_until = -1
        self._error = 0

    def next(self, world: World, running: Thread | None, able: list[Thread]) -> Thread:
        """Who goes on."""
        plain = ordinary(world, running, able)
        chosen = self.choose(world, running, able, plain)
        if chosen is not plain:
            self.played[self._n_choices] = chosen.number
        self._n_choices += 1
        return chosen

    def choose(self, world: World, running: Thread | None, able: list[Thread], plain: Thread) -> Thread:
        """The thread that is written down for this choice, if it can go on."""
        number = self.who.get(self._n_choices)
        return next((thread for thread in able if thread.number == number), plain)

    def go_wrong(self, world: World, process: Process, what: str, path: str) -> None:
        """The fault that is written down for this step."""
        for stopped in [one for one, until in self._stopped_until.items() if world.n_steps >= until]:
            self._go_on(world, stopped)
        fault = self.faults.get((process.number, process.n_steps)) if self.faults else None
        if fault is not None:
            self._happen(world, process, fault)
        if world.n_steps < self._bad_until and what in (READING if self._error == errno.ESTALE else WRITING):
            world.noticed("bad disk", process)
            raise OSError(self._error, os.strerror(self._error), path)

    def calm(self, world: World) -> None:
        """Nothing goes wrong from now on, and who was stopped goes on."""
        self.faults, self._bad_until = {}, -1
        for stopped in list(self._stopped_until):
            self._go_on(world, stopped)

    def _happen(self, world: World, process: Process, fault: Fault) -> None:
        if fault.kind == "kill":
            world.noticed("harmed", process)
            process.kill()
        elif fault.kind == "interrupt":
            world.noticed("harmed", process)
            process.interrupt = KeyboardInterrupt()
        elif fault.kind in ("stop", "long stop") and not process.is_stopped:
            world.noticed("harmed", process)
            process.receive(signal.SIGSTOP)
            self._stopped_until[process] = world.n_steps + fault.steps
            world.hurry = HURRY if fault.kind == "long stop" else 1.0
        elif fault.kind == "clock":
            world.wall_ahead += fault.seconds
        elif fault.kind == "disk":
            self._bad_until, self._error = world.n_steps + fault.steps, fault.error

    def _go_on(self, world: World, process: Process) -> None:
        del self._stopped_until[process]
        process.receive(signal.SIGCONT)
        if not self._stopped_until:
            world.hurry = 1.0


def ordinary(world: World, running: Thread | None, able: list[Thread]) -> Thread:
    """Who goes on if nothing out of the ordinary happens."""
    if running is not None and running.wakes <= world.now and running in able:
        return running
    for thread in able:
        if thread.wakes <= world.now:
            return thread
    return min(able, key=lambda thread: thread.wakes)


class Walk(Script):
    """At each step somebody else goes on, with some probability; now and then one that sleeps, before its time."""

    def __init__(self, random: Random, faults: Faults) -> None:
        super().__init__(faults=faults)
        self._random = random
        self._often = random.choice((0.02, 0.1, 0.3, 0.6))
        self._early = random.choice((0.0, 0.002, 0.02))

    def choose(self, world: World, running: Thread | None, able: list[Thread], plain: Thread) -> Thread:
        """Somebody."""
        draw = self._random.random()
        if draw < self._early:
            return self._random.choice(able)
        if draw > self._often:
            return plain
        awake = [thread for thread in able if thread.wakes <= world.now]
        return self._random.choice(awake) if awake else plain


class Priorities(Script):
    """The thread of the highest priority goes on; at a few steps the one that runs gets the lowest.

    Finds every bug that takes `depth` steps in the wrong order with a probability that is known: Burckhardt, Kothari,
    Musuvathi and Nagarakatte, "A Randomized Scheduler with Probabilistic Guarantees of Finding Bugs", ASPLOS 2010.
    A thread that sleeps gets the lowest priority, too: the others must be able to do what it waits for.
    """

    def __init__(self, random: Random, faults: Faults, depth: int) -> None:
        super().__init__(faults=faults)
        self._random = random
        self._changes = {random.randrange(EXPECTED_STEPS) for _ in range(depth - 1)}
        self._seen: set[int] = set()

    def choose(self, world: World, running: Thread | None, able: list[Thread], plain: Thread) -> Thread:
        """The awake one with the highest priority; if none is awake, the one that wakes first."""
        for thread in able:
            if thread.number not in self._seen:
                self._seen.add(thread.number)
                thread.priority = self._random.random()
        if self._n_choices in self._changes and running is not None:
            running.priority = -math.inf
            if self._random.random() < 0.3:
                return self._random.choice(able)
        awake = [thread for thread in able if thread.wakes <= world.now]
        return max(awake, key=lambda thread: thread.priority) if awake else plain


def drawn(seed: int, kinds: tuple[FaultKind, ...]) -> Script:
    """The schedule of a seed, with faults of these kinds."""
    random = Random(seed)
    faults: Faults = {}
    for _ in range(random.choice((1, 1, 2, 3)) if kinds else 0):
        kind = random.choice(kinds)
        number = 0 if kind == "long stop" else random.choice((0, 0, 1, 2, 3, 4))
        faults[number, random.randrange(DRIVER_STEPS if number == 0 else WORKER_STEPS)] = Fault(
            kind,
            steps=random.choice((300, 600, 1200) if kind == "long stop" else (20, 100, 300)),
            seconds=random.choice((-86400.0, -3600.0, -1.0, 1.0, 20.0, 200.0, 86400.0)),
            error=random.choice((*WRITE_ERRORS, errno.ESTALE)),
        )
    if random.random() < 0.5:
        return Walk(random, faults)
    return Priorities(random, faults, depth=random.choice((1, 2, 3, 4)))
