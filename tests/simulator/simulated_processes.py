"""What stands for `threading` and `subprocess` in a world."""

import os
import signal
from collections.abc import Callable
from typing import Any

from bo_shaping.executors import pool_worker
from tests.simulator.world import World


class SimulatedEvent:
    """`threading.Event` between threads of one process."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._is_set = False
        self._waiting: list[Any] = []

    def set(self) -> None:
        self._is_set = True
        for thread in self._waiting:
            thread.wakes = self._world.now

    def wait(self, timeout: float) -> bool:
        self._waiting.append(self._world.running)
        self._world.step("event")
        if not self._is_set:
            self._world.sleep(timeout)
        self._waiting.remove(self._world.running)
        return self._is_set


class SimulatedThread:
    """`threading.Thread` of the process that starts it."""

    def __init__(self, world: World, target: Callable[..., None], args: tuple[Any, ...] = (), **_: Any) -> None:
        self._world = world
        self._work = lambda: target(*args)

    def start(self) -> None:
        running = self._world.running
        assert running is not None
        self._thread = self._world.start_thread(running.process, self._work)

    def join(self) -> None:
        self._world.step("join")
        while not self._thread.is_over:
            self._thread.waiting.append(self._world.running)  # type: ignore[arg-type]
            self._world.wait()


class SimulatedPopen:
    """`subprocess.Popen` of a pool worker: its module, run as a process of the world."""

    def __init__(self, world: World, delay: float, command: list[str], pass_fds: list[int], **_: Any) -> None:
        world.step("start")
        self.returncode: int | None = None
        _python, _m, module, path, name, descriptors = command
        assert module == pool_worker.__name__
        mine = {str(number): os.dup(number) for number in pass_fds}

        def work() -> None:
            pool_worker.main(path, name, ",".join(str(mine[number]) for number in descriptors.split(",")))

        self._process = world.start(f"worker{len(world.processes)}", work, delay)
        self.pid = self._process.pid
        for number in mine.values():
            self._process.owns_descriptor(number)

    def poll(self) -> int | None:
        self._process.world.step("poll")
        self.returncode = self._process.returncode
        return self.returncode

    def kill(self) -> None:
        self._process.receive(signal.SIGKILL)
