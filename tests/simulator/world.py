"""A machine whose every step is ordered by a schedule: processes, their threads and their clock, in one real thread.

A thread of a process is a greenlet. It gives way before each operation that another process could notice
(`tests.simulator.system`), and the schedule says who goes on. Time is what the world says: it passes a little with each
step, and jumps to the next alarm when everybody sleeps. A process that is killed is never gone on with, so that none of
its cleaning up happens, and the kernel frees its locks as it does for a real one.
"""

import itertools
import math
import os
import signal
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, Protocol

from greenlet import GreenletExit, getcurrent, greenlet

STEP_SECONDS = 0.0002
"""Time that passes with each step."""

LONG_SECONDS = 5.0
"""A process that the schedule keeps waiting for longer, in which others go on, cannot be told from one that hangs."""

LONGEST = 12_000
"""Steps after which a world counts as one that does not end."""


class WorldError(AssertionError):
    """What must hold does not."""


class Thread:
    """One thread of a process."""

    def __init__(self, number: int, process: "Process", work: Callable[[], None], hub: greenlet) -> None:
        self.number = number
        self.process = process
        self.wakes = 0.0
        """It sleeps until then."""
        self.priority = 0.0
        self.waiting: list[Thread] = []
        """Threads that wait for its end."""
        self.is_over = False
        self.has_written = False
        """Whether what it did after its last step was to write."""
        self.greenlet = greenlet(work, hub)


class Process:
    """A process: threads, open files, a number."""

    def __init__(self, world: "World", name: str, pid: int) -> None:
        self.world = world
        self.name = name
        self.pid = pid
        self.born = f"{name}-{world.n_steps}"
        self.number = len(world.processes)
        self.n_steps = 0
        self.began = world.n_steps
        self.ended = LONGEST
        self.returncode: int | None = None
        self.error: BaseException | None = None
        self.interrupt: BaseException | None = None
        """What is raised in it at its next step: a signal that Python handles."""
        self.is_stopped = False
        self.must_end = False
        """It was sent SIGTERM while it was stopped."""
        self.threads: list[Thread] = []
        self._files: list[weakref.ref[Any]] = []
        self._descriptors: set[int] = set()

    @property
    def is_dead(self) -> bool:
        return self.returncode is not None

    def owns_file(self, file: Any) -> None:
        """Close it with the process."""
        self._files.append(weakref.ref(file))

    def owns_descriptor(self, descriptor: int) -> None:
        """Close it with the process, unless it is closed before."""
        self._descriptors.add(descriptor)

    def disowns_descriptor(self, descriptor: int) -> None:
        """It is closed, or belongs to a file object now."""
        self._descriptors.discard(descriptor)

    def end(self, returncode: int) -> None:
        """Nothing of it goes on; what it had open is closed, and what it had not yet written is lost."""
        if self.is_dead:
            return
        self.returncode = returncode
        self.ended = self.world.n_steps
        for reference in self._files:
            file = reference()
            if file is not None and not file.closed:
                # The kernel lets go of the file and its lock; buffers that are flushed some day go nowhere.
                os.dup2(self.world.nowhere, file.fileno())
        for descriptor in self._descriptors:
            with suppress(OSError):
                self.world.really_close(descriptor)
        for thread in self.threads:
            self.world.is_over_now(thread)

    def receive(self, number: int) -> None:
        """What a signal from another process does to it."""
        if number == signal.SIGCONT:
            self.is_stopped = False
            if self.must_end:
                self.kill(signal.SIGTERM)
        elif number == signal.SIGSTOP:
            self.is_stopped = True
        elif number == signal.SIGTERM and self.is_stopped:
            self.must_end = True
        elif number in (signal.SIGTERM, signal.SIGKILL):
            if self._was_kept_waiting():
                self.world.noticed("harmed", self)
            self.kill(number)

    def _was_kept_waiting(self) -> bool:
        """Whether it could have gone on for so long, and others did, that it must look as if it hung."""
        return any(thread.wakes < self.world.now - LONG_SECONDS for thread in self.threads if not thread.is_over)

    def kill(self, number: int = signal.SIGKILL) -> None:
        """End it from outside."""
        if not self.is_dead:
            self.end(-number)


class Schedule(Protocol):
    """Decides who goes on, and what goes wrong."""

    def next(self, world: "World", running: Thread | None, able: list[Thread]) -> Thread:
        """One of the threads that are able to go on."""

    def go_wrong(self, world: "World", process: "Process", what: str, path: str) -> None:
        """Kill or stop a process, move a clock, or raise the `OSError` that this operation meets."""


_ON: list["World"] = []


def process_that_runs() -> Process:
    """The process whose code asks, in the world that is on."""
    running = _ON[-1].running
    assert running is not None
    return running.process


class World:
    """All processes of a machine.

    Args:
        root: The folder whose files they share.
        schedule: Who goes on.
        notice: Called with what happens, for those who watch over what must hold.
    """

    def __init__(self, root: str, schedule: Schedule, notice: Callable[[str, Process], None]) -> None:
        self.root = root
        self.schedule = schedule
        self._notice = notice
        self.now = 1000.0
        """The monotonic clock."""
        self.wall_ahead = 1.7e9
        """What the wall clock shows more."""
        self.hurry = 1.0
        """How many times as long as they wanted everybody sleeps: what passes while somebody is stopped."""
        self.is_told_all = False
        """Whether those who watch hear of every step, not only of those after which something was written."""
        self.reuses_pids = False
        """Whether a process may get the number of one that has ended."""
        self.n_steps = 0
        self.processes: list[Process] = []
        self.running: Thread | None = None
        self.trace: list[str] | None = None
        self.nowhere = os.open(os.devnull, os.O_RDWR)
        self.really_close = os.close
        self._threads: list[Thread] = []
        self._atomic = 0
        self._hub = getcurrent()
        self._n_threads = 0
        _ON[:] = [self]

    def start(self, name: str, work: Callable[[], None], delay: float = 0.0) -> Process:
        """A new process that begins after `delay` seconds."""
        process = Process(self, name, self._free_pid())
        self.processes.append(process)

        def run() -> None:
            try:
                work()
            except GreenletExit:
                raise
            except BaseException as error:  # the process ends with a traceback
                process.error = error
                process.end(1)
            else:
                process.end(0)

        self.start_thread(process, run, delay)
        return process

    def _free_pid(self) -> int:
        """A number that no living process has."""
        taken = {process.pid for process in self.processes if not process.is_dead or not self.reuses_pids}
        return next(number for number in itertools.count(100) if number not in taken)

    def start_thread(self, process: Process, work: Callable[[], None], delay: float = 0.0) -> Thread:
        """One more thread of a process."""

        def run() -> None:
            work()
            self.is_over_now(thread)

        thread = Thread(self._n_threads, process, run, self._hub)
        thread.wakes = self.now + delay
        self._n_threads += 1
        process.threads.append(thread)
        self._threads.append(thread)
        return thread

    def is_over_now(self, thread: Thread) -> None:
        """A thread has ended; those that wait for it go on."""
        if not thread.is_over:
            thread.is_over = True
            self._threads.remove(thread)
            for waiting in thread.waiting:
                waiting.wakes = self.now

    def able(self) -> list[Thread]:
        """Threads that can go on, at once or when they wake, in the order in which they began."""
        return [thread for thread in self._threads if thread.wakes < math.inf and not thread.process.is_stopped]

    def run(self) -> None:
        """Go on until nobody can. Raises what the watchers raise."""
        assert getcurrent() is self._hub
        while able := self.able():
            self._go_to(self.schedule.next(self, None, able))

    def step(self, what: str, path: str = "") -> None:
        """The thread that runs is about to do something that others could notice: give way."""
        thread = self.running
        if thread is None or self._atomic:
            return
        process = thread.process
        if process.is_dead:
            # It cleans up after its end, when its frames are taken down.
            raise GreenletExit
        self.n_steps += 1
        process.n_steps += 1
        self.now += STEP_SECONDS
        if self.trace is not None:
            who, where = f"{process.name}.{thread.number}", path.removeprefix(self.root)
            self.trace.append(f"{self.n_steps:5d} {self.now:9.2f} {who} {what} {where}")
        if self.n_steps > LONGEST:
            self._to_hub(WorldError("it does not end"))
        if thread.has_written or self.is_told_all:
            self.noticed("written", process)
        thread.has_written = what == "write"
        self.schedule.go_wrong(self, process, what, path)
        self._pass_on(thread)
        if process.interrupt is not None and thread is process.threads[0]:
            error, process.interrupt = process.interrupt, None
            raise error

    def noticed(self, what: str, process: Process) -> None:
        """Those who watch look at what has happened; that takes no step."""
        running, self.running = self.running, None
        try:
            self._notice(what, process)
        finally:
            self.running = running

    def sleep(self, seconds: float) -> None:
        """The thread that runs sleeps."""
        thread = self.running
        assert thread is not None
        thread.wakes = self.now + max(seconds, 0.0)
        thread.priority = -float(self.n_steps)
        self.step("sleep", f"{seconds:.2f}")

    def wait(self) -> None:
        """The thread that runs sleeps until somebody sets `wakes`."""
        assert not self._atomic, "nobody may wait in the middle of one step: it would wait for ever"
        self.sleep(math.inf)

    def atomic(self, change: int) -> None:
        """What comes is one step to everybody else, until as many ends have come as beginnings."""
        # Who is taken down at the beginning has no beginning, and an end.
        self._atomic = max(0, self._atomic + change)

    @contextmanager
    def one_step(self) -> Iterator[None]:
        """What happens inside is one step; a transaction that was begun there, and is not ended by name, ends too."""
        before = self._atomic
        self._atomic += 1
        try:
            yield
        finally:
            self._atomic = before

    def fail(self, error: BaseException) -> None:
        """Something that must hold does not: the world ends here."""
        if getcurrent() is self._hub:
            raise error
        self._to_hub(error)

    def end(self) -> None:
        """Nobody goes on; the frames of those that were killed are taken down, and get nowhere."""
        self._atomic = 0
        for process in self.processes:
            process.end(-int(signal.SIGKILL))
            for thread in process.threads:
                self.running = thread
                with suppress(Exception):
                    thread.greenlet.throw(GreenletExit)
        self.running = None
        self.really_close(self.nowhere)

    def _pass_on(self, thread: Thread) -> None:
        able = self.able()
        if not able:
            self._to_hub(None)
            return
        chosen = self.schedule.next(self, thread, able)
        if chosen is not thread:
            self._go_to(chosen)
        else:
            self.now = max(self.now, chosen.wakes)

    def _go_to(self, chosen: Thread) -> None:
        self.now = max(self.now, chosen.wakes)
        before, self.running = self.running, chosen
        error = chosen.greenlet.switch()
        self.running = before
        if isinstance(error, BaseException):
            raise error

    def _to_hub(self, error: BaseException | None) -> None:
        self._hub.switch(error)
