"""Where a driver is killed: named points, each reached by putting `os.kill(os.getpid(), SIGKILL)` around a function.

Every point is tried on a copy of one study of closed-form trials. A child process does the scenario and dies at the
point; another does what remains. What comes out is compared with a study that nobody killed.
"""

import importlib
import os
import shutil
import signal
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from bo_shaping import Study, StudyConfig
from bo_shaping.errors import StudyExistsError
from bo_shaping.generation.strategy import propose
from bo_shaping.libraries.ax_internals import experiment_of
from bo_shaping.running import driver
from bo_shaping.storage.lifecycle import open_database
from bo_shaping.storage.recovery import observations
from bo_shaping.storage.study_folder import ROOT_VARIABLE, StudyFolder
from bo_shaping.storage.trial_folder import TrialFolder
from experiments.benchmarks.outer_loop.killed_loop import LOG, MODE, closed_form
from inner_loop.spec import SPARSE

DESIGN, MODEL = 4, 7
"""Trials before the scenario. From the sixth on, the Gaussian process chooses: after the scenario, or all along."""

ADDED = 2
"""Trials that a scenario adds."""

NAME = "killed"
Scenario = Literal["run", "workers", "fail", "die", "stop", "tell", "launch"]


@dataclass(frozen=True)
class KillPoint:
    """`before` or `after` a function, or in the middle of it; of the calls to it, the first that `which` picks."""

    name: str
    target: str
    """`module:Class.method` or `module:function`."""
    when: Literal["before", "after"] = "before"
    scenario: Scenario = "run"
    which: Callable[..., bool] = field(default=lambda *_args, **_settings: True)


def _status(*statuses: str, attempt: int = 1) -> Callable[..., bool]:
    def is_it(_journal: object, entry: Any) -> bool:
        return entry.record.status in statuses and entry.record.attempt >= attempt

    return is_it


def _saves(status: str) -> Callable[..., bool]:
    def is_it(**settings: Any) -> bool:
        return any(trial.status.name == status for trial in settings["trials"])

    return is_it


def _is_snapshot(_path: Path, target: Path) -> bool:
    return target.name == "ax_experiment.json"


def _is_config(path: Path, _text: str, _mode: int) -> bool:
    return path.name == "config.yaml"


_JOURNAL = "bo_shaping.storage.journal:Journal.write"
_DATA = "ax.storage.sqa_store.save:save_or_update_data_for_trials"
POINTS = (
    KillPoint("taking the lease", "bo_shaping.storage.lease:Lease._swap"),
    KillPoint("lease taken, journal not open", "bo_shaping.storage.journal:Journal.open"),
    KillPoint("beginning to renew the lease", "bo_shaping.storage.lease:Lease._renew_until"),
    KillPoint("after generation", "bo_shaping.storage.ledger:propose", "after"),
    KillPoint("before the journal has the trial", _JOURNAL, which=_status("running")),
    KillPoint("in the middle of a journal line", "bo_shaping.storage.journal:_write_all", "after"),
    KillPoint("journal has the trial, database not", _JOURNAL, "after", which=_status("running")),
    KillPoint("inside the database transaction", "bo_shaping.storage.lease:Lease.renew", "after"),
    KillPoint("database has half of the trial", _DATA, which=_saves("RUNNING")),
    KillPoint("database has the trial, no folder", "bo_shaping.storage.trial_folder:TrialFolder.prepare"),
    KillPoint("before the start", "bo_shaping.executors.inline:InlineExecutor.start"),
    KillPoint("after the start", "bo_shaping.executors.inline:InlineExecutor.start", "after"),
    KillPoint("between result and import", "bo_shaping.running.driver:Driver._complete"),
    KillPoint("journal has the result, database not", _JOURNAL, "after", which=_status("completed")),
    KillPoint("database has the status, not the data", _DATA, which=_saves("COMPLETED")),
    KillPoint("in the middle of the snapshot", "pathlib:Path.replace", which=_is_snapshot),
    KillPoint("before the failure is written down", "bo_shaping.running.driver:Driver._fail", scenario="fail"),
    KillPoint("journal has the failure, database not", _JOURNAL, "after", "fail", _status("failed")),
    KillPoint("worker started", "bo_shaping.executors.process:ProcessExecutor.start", "after", "workers"),
    KillPoint("worker runs", "bo_shaping.running.driver:time.sleep", "before", "workers"),
    KillPoint("before another attempt is written down", "bo_shaping.running.driver:Driver._try_again", scenario="die"),
    KillPoint("journal has another attempt, no worker", _JOURNAL, "after", "die", _status("running", attempt=2)),
    KillPoint("before a stopped trial is written down", _JOURNAL, "before", "stop", _status("stopped")),
    KillPoint("journal has the stop, worker runs", _JOURNAL, "after", "stop", _status("stopped")),
    KillPoint("journal has the asked trial, database not", _JOURNAL, "after", "tell", _status("asked")),
    KillPoint("before a told result is written down", _JOURNAL, "before", "tell", _status("completed")),
    KillPoint("journal has the told result, database not", _JOURNAL, "after", "tell", _status("completed")),
    KillPoint(
        "launch without its configuration",
        "bo_shaping.storage.lifecycle:write_atomically",
        "before",
        "launch",
        _is_config,
    ),
)


def config(scenario: Scenario) -> StudyConfig:
    """The study of a scenario."""
    executor = "process" if scenario in ("workers", "die", "stop") else "inline"
    return StudyConfig.model_validate(
        {
            "name": NAME,
            "executor": executor,
            "inner_loop": f"{closed_form.__module__}:closed_form",
            "search_space": {"components": ["shap", "lime", SPARSE]},
            "ppo": {"steps": 2},
            "evaluation": {"every": 1},
            "budget": {"trials": 40, "parallel": 1},
            "early_stopping": {"min_step": 1} if scenario == "stop" else None,
        }
    )


def make_base(root: Path, n_trials: int) -> None:
    """The study that all scenarios begin with, in `root`."""
    with _environment(root, ""):
        Study.launch(config("run")).run(n_trials)
    (root / "n_trials").write_text(str(n_trials), encoding="utf-8")


@dataclass(frozen=True)
class Outcome:
    """What matters of a study in the end."""

    trials: list[tuple[Any, ...]]
    """Index, status, arm to the last digit, seeds, mean."""
    stored: list[tuple[Any, ...]]
    """The same from the database."""
    starts: Counter[str]
    """How often each arm was started."""
    next_arm: dict[str, float]
    """What would be tried next."""
    orphans: int
    """Workers that are left, and trial folders that no trial belongs to."""


def uninterrupted(base: Path, root: Path, scenario: Scenario) -> Outcome:
    """The outcome of a scenario in which nobody is killed."""
    _copy(base, root, scenario)
    _check(in_child(lambda: _finish(root, scenario)), 0, "the scenario itself failed")
    return outcome(root)


def killed(base: Path, root: Path, point: KillPoint) -> Outcome:
    """The outcome when the process dies at a point and another one goes on."""
    _copy(base, root, point.scenario)

    def die() -> None:
        _put_kill(point)
        _finish(root, point.scenario)

    _check(in_child(die), -signal.SIGKILL, f"not reached: {point.name}")
    _check(in_child(lambda: _finish(root, point.scenario)), 0, f"no way on after: {point.name}")
    return outcome(root)


def _check(code: int, wanted: int, message: str) -> None:
    if code != wanted:
        raise RuntimeError(f"{message} (exit code {code})")


def _copy(base: Path, root: Path, scenario: Scenario) -> None:
    if scenario == "launch":
        root.mkdir()
        return
    shutil.copytree(base, root)
    text = config(scenario).to_yaml()
    StudyFolder(root / NAME).config_file.write_text(text, encoding="utf-8")


def _finish(root: Path, scenario: Scenario) -> None:
    """Do what remains of the scenario."""
    file = root / "n_trials"
    n_trials = int(file.read_text(encoding="utf-8")) if file.exists() else 0
    if scenario == "stop":
        _stop_what_has_a_curve()
    with _environment(root, f"stop {n_trials}" if scenario == "stop" else scenario):
        if scenario == "launch":
            try:
                study = Study.launch(config(scenario))
            except StudyExistsError:
                study = Study.load(NAME)
        else:
            study = Study.load(NAME, allow_change=True)  # early stopping
        if scenario == "tell":
            if len(study.folder.records()) == n_trials:
                study.ask()
            if study.trial(n_trials).status == "asked":
                study.tell(n_trials, 1.0, kl=3.0)
        study.run(n_trials + ADDED - len(study.folder.records()))


def _stop_what_has_a_curve() -> None:
    """In this process, which is a child: a rule that needs no other curves."""

    def rule(client: Any, _config: StudyConfig, running: set[int]) -> dict[int, str]:
        return {index: "it lags" for index in running if index in observations(experiment_of(client))}

    driver.trials_to_stop = rule


def outcome(root: Path) -> Outcome:
    """Read what a study has come to."""
    folder = StudyFolder(root / NAME)
    trials = [
        (r.index, r.status, entry.arm, r.seeds, r.mean)
        for entry in folder.journal.entries().values()
        if (r := entry.record)
    ]
    stored = open_database(folder, folder.config()).load(NAME)
    rows = observations(stored)
    with _environment(root, ""):
        client = Study.load(NAME).ax_client
        next_arm = dict(experiment_of(client).trials[propose(client, folder.config())].arm.parameters)
    folders = {int(path.name) for path in (folder.path / "trials").iterdir()}
    locked = [path for path in (folder.path / "trials").iterdir() if TrialFolder(path).is_locked()]
    log = root / "starts.log"
    return Outcome(
        trials=trials,
        stored=[
            (index, trial.status.name, dict(trial.arm.parameters), trial.run_metadata, rows.get(index))
            for index, trial in stored.trials.items()
        ],
        starts=Counter(log.read_text(encoding="utf-8").splitlines()),
        next_arm=next_arm,
        orphans=len(locked) + len(folders - {trial[0] for trial in trials}),
    )


def in_child(work: Callable[[], object]) -> int:
    """Do something in a fork of this process; returns its exit code, negative for a signal."""
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            quiet = os.open(os.devnull, os.O_WRONLY)
            os.dup2(quiet, 1)
            work()
            code = 0
        except BaseException:
            import traceback

            traceback.print_exc()
        finally:
            os._exit(code)
    _, status = os.waitpid(pid, 0)
    return os.waitstatus_to_exitcode(status)


@contextmanager
def _environment(root: Path, mode: str) -> Iterator[None]:
    settings = {ROOT_VARIABLE: str(root), LOG: str(root / "starts.log"), MODE: mode}
    before = {name: os.environ.get(name) for name in settings}
    os.environ.update(settings)
    try:
        yield
    finally:
        for name, value in before.items():
            os.environ.pop(name, None)
            if value is not None:
                os.environ[name] = value


def _put_kill(point: KillPoint) -> None:
    """Patch the target in this process, which is a child."""
    module_name, _, path = point.target.partition(":")
    owner: Any = importlib.import_module(module_name)
    *owners, name = path.split(".")
    for part in owners:
        owner = getattr(owner, part)
    original = getattr(owner, name)

    def wrapped(*args: Any, **settings: Any) -> Any:
        is_it = point.which(*args, **settings)
        if is_it and point.name == "in the middle of a journal line":
            os.write(args[0], args[1][: len(args[1]) // 2])
        elif not (is_it and point.when == "before"):
            result = original(*args, **settings)
            if not is_it:
                return result
        os.kill(os.getpid(), signal.SIGKILL)
        raise AssertionError("still alive")

    setattr(owner, name, wrapped)
