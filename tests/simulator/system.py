"""The doors through which the code of the package reaches files, locks, clocks and processes, while a world is on.

Behind each door is the real operation on real files; in front of it the schedule decides who goes on. Nothing here
knows what the code does with them. Outside a world's processes every door is as it was.
"""

import errno
import fcntl
import io
import os
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from functools import cache
from random import Random
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

import yaml
from sqlalchemy import event
from sqlalchemy.engine import Engine

from bo_shaping.config import StudyConfig
from bo_shaping.executors import heartbeat, pool, pool_worker, process, processes, worker
from bo_shaping.storage import lease, lease_holder
from bo_shaping.storage.database import Database
from bo_shaping.storage.study_folder import StudyFolder
from inner_loop.io import atomic_file
from tests.simulator.disk import Disk
from tests.simulator.simulated_processes import SimulatedEvent, SimulatedPopen, SimulatedThread
from tests.simulator.world import Process, World

START_SECONDS = (0.1, 0.3, 2.0)
"""Times from the start of a worker to its first step."""

_open, _os_open, _close = io.open, os.open, os.close
_flock, _fsync, _write = fcntl.flock, os.fsync, os.write


class SimulatedFile(io.FileIO):
    """A file that gives way before each read and write."""

    door: "Doors"
    path: str

    def write(self, data: Any, /) -> int:
        self.door.step("write", self.path)
        return super().write(data)

    def readall(self) -> bytes:
        self.door.step("read", self.path)
        return super().readall()

    def truncate(self, size: int | None = None, /) -> int:
        self.door.step("truncate", self.path)
        return super().truncate(size)


class Doors:
    """The operations of a world's processes.

    Args:
        world: Whose processes go through them.
        disk: What it keeps when the power goes, if somebody wants to know.
        random: Where names come from that are chosen at random, and how long a worker takes to start.
    """

    def __init__(self, world: World, disk: Disk | None, random: Random) -> None:
        self.world = world
        self.disk = disk
        self._random = random
        self._root = world.root + os.sep

    def step(self, what: str, path: str = "") -> None:
        """Give way."""
        self.world.step(what, path)

    def is_ours(self, path: Any) -> bool:
        """Whether a thread of the world runs, and the path is one of its files."""
        return self.world.running is not None and os.fspath(path).startswith(self._root)

    def path_call(self, what: str, real: Callable[..., Any]) -> Callable[..., Any]:
        """A function of a path, with a step before it."""

        def call(path: Any, *args: Any, **settings: Any) -> Any:
            if not isinstance(path, int) and self.is_ours(path):
                self.step(what, os.fspath(path))
                if what == "unlink":
                    self.world.noticed(f"unlink {os.fspath(path)}", self._process())
            return real(path, *args, **settings)

        return call

    def open(self, file: Any, mode: str = "r", buffering: int = -1, *args: Any, **settings: Any) -> Any:
        """`io.open`, with a step before it and before each read and write."""
        world = self.world
        if world.running is None or (not isinstance(file, int) and not self.is_ours(file)):
            return _open(file, mode, buffering, *args, **settings)
        owner = world.running.process
        if not isinstance(file, int):
            self.step("open " + mode.replace("b", ""), os.fspath(file))
        raw = SimulatedFile(file, mode.replace("b", "").replace("t", ""))
        raw.door, raw.path = self, os.fspath(file) if not isinstance(file, int) else f"descriptor {file}"
        if isinstance(file, int):
            owner.disowns_descriptor(file)
        owner.owns_file(raw)
        if buffering == 0:
            return raw
        is_both, is_read = "+" in mode, mode[0] == "r"
        buffered: Any = (
            io.BufferedRandom(raw) if is_both else io.BufferedReader(raw) if is_read else io.BufferedWriter(raw)
        )
        return buffered if "b" in mode else io.TextIOWrapper(buffered, *args, **settings)

    def os_open(self, path: Any, *args: Any, **settings: Any) -> int:
        """`os.open`."""
        is_ours = self.is_ours(path)
        if is_ours:
            self.step("open", os.fspath(path))
        descriptor = _os_open(path, *args, **settings)
        if is_ours:
            self._process().owns_descriptor(descriptor)
        return descriptor

    def close(self, descriptor: int) -> None:
        """`os.close`."""
        if self.world.running is not None:
            self._process().disowns_descriptor(descriptor)
        _close(descriptor)

    def write(self, descriptor: int, data: Any) -> int:
        """`os.write`."""
        if self.world.running is not None and descriptor > 2:
            self.step("write", self._path_of(descriptor))
        return _write(descriptor, data)

    def fsync(self, descriptor: int) -> None:
        """`os.fsync`: what is on the disk now survives a power cut."""
        if self.world.running is not None:
            self.step("fsync", self._path_of(descriptor))
            if self.disk is not None:
                self.disk.sync(descriptor)
        else:
            _fsync(descriptor)

    def ftruncate(self, descriptor: int, length: int) -> None:
        """`os.ftruncate`."""
        if self.world.running is not None:
            self.step("truncate", self._path_of(descriptor))
        _ftruncate(descriptor, length)

    def flock(self, file: Any, operation: int) -> None:
        """`fcntl.flock`; who has to wait for a lock asks again and again."""
        if self.world.running is None:
            return _flock(file, operation)
        while True:
            self.step("lock" if operation != fcntl.LOCK_UN else "unlock", str(getattr(file, "name", "")))
            try:
                return _flock(file, operation | fcntl.LOCK_NB)
            except BlockingIOError:
                if operation & fcntl.LOCK_NB:
                    raise
            self.world.sleep(0.05)

    def monotonic(self) -> float:
        """`time.monotonic`."""
        return self.world.now if self.world.running is not None else _monotonic()

    def time(self) -> float:
        """`time.time`."""
        return self.world.now + self.world.wall_ahead if self.world.running is not None else _time()

    def sleep(self, seconds: float) -> None:
        """`time.sleep`."""
        if self.world.running is not None:
            self.world.sleep(seconds * max(self.world.hurry, 1.0))
        else:
            _sleep(seconds)

    def getpid(self) -> int:
        """`os.getpid`."""
        return self._process().pid if self.world.running is not None else _getpid()

    def getpgid(self, pid: int) -> int:
        """`os.getpgid`: every process has a session of its own."""
        if self.world.running is None:
            return _getpgid(pid)
        self._find(pid)
        return pid

    def kill(self, pid: int, number: int) -> None:
        """`os.kill` and `os.killpg`."""
        if self.world.running is None:
            return _kill(pid, number)
        self.step("signal", f"{number} to {pid}")
        self._find(pid).receive(number)
        return None

    def birth_of(self, pid: int) -> str | None:
        """When a process of the world began."""
        living = [process for process in self.world.processes if process.pid == pid and not process.is_dead]
        return living[0].born if living else None

    def uuid4(self) -> uuid.UUID:
        """A name that the schedule's seed decides."""
        return uuid.UUID(int=self._random.getrandbits(128), version=4)

    def start_delay(self) -> float:
        """How long a worker takes to start."""
        return self._random.choice(START_SECONDS)

    def _find(self, pid: int) -> Process:
        for one in self.world.processes:
            if one.pid == pid and not one.is_dead:
                return one
        raise ProcessLookupError(errno.ESRCH, "No such process")

    def _process(self) -> Process:
        assert self.world.running is not None
        return self.world.running.process

    def _path_of(self, descriptor: int) -> str:
        return os.readlink(f"/proc/self/fd/{descriptor}")


@cache
def _config_of(text: str) -> StudyConfig:
    return StudyConfig.from_data(yaml.safe_load(text), (), "config.yaml")


_monotonic, _time, _sleep = time.monotonic, time.time, time.sleep
_getpid, _getpgid, _kill, _ftruncate = os.getpid, os.getpgid, os.kill, os.ftruncate


@contextmanager
def simulated(doors: Doors) -> Iterator[None]:
    """The package goes through the world's doors inside."""
    world = doors.world
    stepping = ("stat", "unlink", "replace", "rename", "mkdir", "rmdir", "scandir", "listdir", "truncate", "utime")
    quiet = SimpleNamespace(print_exc=lambda: None)
    own = {
        (os, "open"): doors.os_open,
        (os, "close"): doors.close,
        (os, "write"): doors.write,
        (os, "fsync"): doors.fsync,
        (os, "ftruncate"): doors.ftruncate,
        (os, "getpid"): doors.getpid,
        (os, "getpgid"): doors.getpgid,
        (os, "kill"): doors.kill,
        (os, "killpg"): doors.kill,
        (io, "open"): doors.open,
        (fcntl, "flock"): doors.flock,
        (time, "monotonic"): doors.monotonic,
        (time, "time"): doors.time,
        (time, "sleep"): doors.sleep,
        (processes, "birth_of"): doors.birth_of,
        (lease_holder, "birth_of"): doors.birth_of,
        (lease_holder, "_machine"): lambda: "machine",
        (lease, "_CLOCKS"): {"sqlite": "world_clock()"},
        (atomic_file, "uuid4"): doors.uuid4,
        (pool, "uuid"): SimpleNamespace(uuid4=doors.uuid4),
        (process, "subprocess"): SimpleNamespace(
            Popen=lambda command, **settings: SimulatedPopen(world, doors.start_delay(), command, **settings),
            DEVNULL=-3,
        ),
        # Reading YAML takes as long as the rest of a study.
        (StudyFolder, "config"): lambda folder: _config_of(folder.config_file.read_text(encoding="utf-8")),
        # A process of the world has no output of its own, and no memory.
        (pool_worker, "output_to"): lambda _log: nullcontext(),
        (pool_worker, "give_back_memory"): lambda: None,
        (pool_worker, "traceback"): quiet,
        (worker, "traceback"): quiet,
    }
    threads = SimpleNamespace(
        Event=lambda: SimulatedEvent(world), Thread=lambda **settings: SimulatedThread(world, **settings)
    )
    own |= {(module, "threading"): threads for module in (heartbeat, lease)}
    own |= {(os, name): doors.path_call(name, getattr(os, name)) for name in stepping}

    def begin(_connection: Any) -> None:
        # A transaction is one step: SQLite sees to that.
        if world.running is not None:
            world.step("transaction")
            world.atomic(1)

    def over(_connection: Any) -> None:
        if world.running is not None:
            world.atomic(-1)

    def connect(connection: Any, _record: Any) -> None:
        connection.create_function("world_clock", 0, lambda: world.now + world.wall_ahead)

    def atomically(real: Callable[..., Any]) -> Callable[..., Any]:
        """Ax keeps its session in a global variable: two processes of one world must not meet in it."""

        def call(*args: Any, **settings: Any) -> Any:
            world.step("database")
            with world.one_step():
                return real(*args, **settings)

        return call

    own |= {(Database, name): atomically(getattr(Database, name)) for name in ("save_trials", "load")}
    listeners = (("connect", connect), ("begin", begin), ("commit", over), ("rollback", over))
    patches = [patch.object(module, name, value) for (module, name), value in own.items()]
    for one in patches:
        one.start()
    for name, listener in listeners:
        event.listen(Engine, name, listener)
    try:
        yield
    finally:
        for name, listener in listeners:
            event.remove(Engine, name, listener)
        for one in reversed(patches):
            one.stop()
