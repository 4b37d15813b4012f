"""What must hold after every step of a simulated study, seen from outside: from its journal and from who trains."""

import json
from collections import Counter
from pathlib import Path
from typing import Any

from bo_shaping.errors import BoShapingError, StopRequested, StudyLockedError
from bo_shaping.storage.journal import CANCELLED
from bo_shaping.storage.study_folder import StudyFolder
from tests.simulator.studies import outcome
from tests.simulator.world import Process, World, WorldError

ENDED = ("completed", "failed", "stopped")


class Watch:
    """Looks at one study.

    Args:
        path: Its folder.
    """

    def __init__(self, path: Path) -> None:
        self.world: World
        self.path = path
        self._study = StudyFolder(path)
        self._journal = self._study.journal.path
        self._position = 0
        self._fence = 0
        self.records: dict[int, dict[str, Any]] = {}
        """The state of each trial, as whoever reads the journal takes it."""
        self._trains: dict[int, Process] = {}
        self._late: Counter[int] = Counter()
        """Lines of each driver that came after those of a later one."""
        self._n_harmed = 0
        self._is_disk_bad = False
        self._take_in()

    def listen(self, what: str, process: Process) -> None:
        """The world says what happens."""
        if what == "written":
            if self._journal.stat().st_size != self._position:
                self._take_in()
        elif what.startswith("begins"):
            self._begins(int(what.split()[1]), process)
        elif what.startswith("ends"):
            self._trains.pop(int(what.split()[1]), None)
        elif what.startswith("unlink") and what.endswith("/worker.json"):
            self._gives_back(int(what.split("/")[-2]), process)
        elif what == "harmed":
            self._n_harmed += process.name.startswith("worker")
        elif what.startswith("unlink") and what.endswith("/result.json"):
            self._unlinks(what.removeprefix("unlink "))
        elif what == "bad disk":
            self._is_disk_bad = True
            self._n_harmed += 1

    def _begins(self, index: int, process: Process) -> None:
        if index not in self.records:
            self._fail(f"trial {index} is trained, and the study does not know it")
        other = self._trains.get(index)
        if other is not None and not other.is_dead and other is not process:
            self._fail(f"{process.name} and {other.name} train trial {index}")
        if self._study.trial(index).has_result():
            self._fail(f"trial {index}, which has a result, is trained again")
        if self.records[index]["status"] in ENDED:
            self._fail(f"trial {index}, which has ended, is trained again")
        self._trains[index] = process

    def _gives_back(self, index: int, process: Process) -> None:
        """Also a training that failed, and could not even write that down, is over when its worker says so."""
        if self._trains.get(index) is process:
            del self._trains[index]

    def _unlinks(self, file: str) -> None:
        index = int(file.split("/")[-2])
        if Path(file).exists() and self.records.get(index, {}).get("status") not in ENDED:
            self._fail(f"the result of trial {index} is thrown away")

    def is_complete(self, n_trials: int) -> bool:
        """Whether so many trials have ended."""
        return len(self.records) == n_trials and all(record["status"] in ENDED for record in self.records.values())

    def finish(self, n_trials: int) -> None:
        """Nobody is left: the study must be complete."""
        for process in self.world.processes:
            self._check_end(process)
        self._take_in()
        if len(self.records) != n_trials:
            self._fail(f"there are {len(self.records)} trials, not {n_trials}")
        for index, record in self.records.items():
            # A training that cannot write its result has failed; its user may have it run again.
            is_excused = record["status"] == "failed" and self._is_disk_bad
            if record["status"] != "completed" and not is_excused:
                self._fail(f"trial {index} is {record['status']}: {record.get('reason')}")

    def _check_end(self, process: Process) -> None:
        error = process.error
        if isinstance(error, StudyLockedError) and not self._had_rival(process):
            self._fail(f"{process.name} is told that somebody drives the study: {error}")
        if error is None or isinstance(error, BoShapingError | KeyboardInterrupt | StopRequested):
            return
        if isinstance(error, OSError) and self._is_disk_bad:
            return
        raise error

    def _had_rival(self, process: Process) -> bool:
        others = (one for one in self.world.processes if "driver" in one.name and one is not process)
        return any(one.began <= process.ended and process.began <= one.ended for one in others)

    def _take_in(self) -> None:
        new = self._journal.read_bytes()
        if len(new) < self._position:
            self._fail("the journal has lost lines")
        end = new.rfind(b"\n") + 1
        for line in new[self._position : end].splitlines(keepends=True):
            if line.endswith(CANCELLED):
                continue
            event = json.loads(line)
            if event["fence"] < self._fence:
                self._late[event["fence"]] += 1
                if self._late[event["fence"]] > 1:
                    self._fail(f"a driver that has lost its lease writes on: {event}")
                continue
            self._fence = event["fence"]
            if event["kind"] == "trial":
                self._take_in_record(event["content"]["record"])
        self._position = end

    def _take_in_record(self, record: dict[str, Any]) -> None:
        index = record["index"]
        before = self.records.get(index, {})
        if before.get("status") in ENDED:
            self._fail(f"trial {index} has ended twice: {before} and {record}")
        if record["status"] == "completed":
            expected = outcome(self._study.trial(index).job().specs[0]).mean
            if record["mean"] != expected:
                self._fail(f"trial {index} has {record['mean']}, and was measured as {expected}")
        self.records[index] = record
        n_attempts = sum(one.get("attempt", 1) - 1 for one in self.records.values())
        if n_attempts > self._n_harmed:
            self._fail(f"trial {index} is tried again without need: {record.get('earlier')}")

    def _fail(self, text: str) -> None:
        self.world.fail(WorldError(text))
