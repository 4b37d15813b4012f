"""What every executor has to do, whatever runs the trials: real processes, real signals."""

import os
import signal
import subprocess
import sys
import time
from importlib.util import find_spec

import pytest

from bo_shaping.errors import TrialResultError
from bo_shaping.executors import make_executor
from bo_shaping.storage.study_folder import StudyFolder
from bo_shaping.storage.trial_folder import Worker
from inner_loop.io.atomic_file import write_atomically
from tests.bo_shaping.conftest import REPOSITORY
from tests.bo_shaping.executors.conftest import hold, is_gone, let_go, starts, wait_for

STALE_AFTER = 6.0
"""Seconds without a heartbeat: the least that a study may ask for."""

DETACHED = (
    "process",
    pytest.param("ray", marks=pytest.mark.skipif(find_spec("ray") is None, reason="the extra ray is not installed")),
    pytest.param(
        "slurm", marks=pytest.mark.skipif(find_spec("submitit") is None, reason="the extra slurm is not installed")
    ),
)

DRIVER = """
import sys
from pathlib import Path
from bo_shaping.config import StudyConfig
from bo_shaping.executors import make_executor
from bo_shaping.storage.trial_folder import TrialFolder
from bo_shaping.storage.study_folder import StudyFolder

config, study, trial = sys.argv[1:]
executor = make_executor(StudyConfig.model_validate_json(config), StudyFolder(Path(study)))
executor.start(TrialFolder(Path(trial)))
print("started", flush=True)
sys.stdin.read()
"""


@pytest.fixture(params=DETACHED)
def detached(request):
    return request.param


@pytest.fixture(params=("inline", *DETACHED))
def kind(request):
    return request.param


@pytest.fixture(scope="module")
def ray_cluster(tmp_path_factory):
    """Address of a Ray cluster of this machine; it sees the repository as the workers of the other kinds do."""
    from bo_shaping.executors.ray_cluster import LocalCluster

    cluster = LocalCluster(tmp_path_factory.mktemp("cluster") / "ray.json")
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("PYTHONPATH", str(REPOSITORY))
        address = cluster.address()
    yield address
    cluster.end()


@pytest.fixture
def config_of(make_config, request):
    """Configurations of a study by the kind of its executor: Slurm is submitit's local cluster."""

    def config_of(kind, **workers):
        if kind == "ray":
            workers["address"] = request.getfixturevalue("ray_cluster")
        if kind == "slurm":
            workers["options"] = {"cluster": "local"}
        return make_config(executor=kind, workers=workers)

    return config_of


@pytest.fixture
def make(config_of, tmp_path):
    """Executors of one study; `stale_after` is short, and each is closed in the end."""
    made = []

    def make(kind, **workers):
        made.append(make_executor(config_of(kind, **workers), StudyFolder(tmp_path / "study")))
        return made[-1]

    yield make
    for executor in made:
        executor.close()


def has_begun(folder):
    return lambda: folder.last_event() is not None and starts(folder)


def test_a_trial_is_run_once_however_often_it_is_started(kind, make, make_trial):
    executor, folder = make(kind), make_trial()
    if kind != "inline":
        hold(folder)
    executor.start(folder)
    executor.start(folder)
    other = make(kind)
    other.start(folder)
    if kind != "inline":
        assert executor.state(folder) == other.state(folder) == "running"
        wait_for(has_begun(folder))
        other.start(folder)
        let_go(folder)
    wait_for(lambda: other.state(folder) != "running")
    assert executor.state(folder) == other.state(folder) == "finished"
    executor.start(folder)
    wait_for(lambda: not folder.is_locked())
    assert executor.state(folder) == "finished"
    assert len(starts(folder)) == 1
    assert [result.mean for result in folder.results()] == [1.5]


def test_a_trial_that_nobody_started_is_dead_and_stopping_it_does_nothing(kind, make, make_trial):
    executor, folder = make(kind), make_trial()
    assert executor.state(folder) == "dead"
    executor.stop(folder)
    assert executor.state(folder) == "dead"
    assert executor.reason(folder)


def test_an_inner_loop_that_raises_is_failed_with_its_reason(kind, make, make_trial):
    executor, folder = make(kind), make_trial("fail")
    executor.start(folder)
    wait_for(lambda: executor.state(folder) != "running")
    assert executor.state(folder) == "failed"
    assert executor.reason(folder) == "ArithmeticError: the policy diverged"


def test_a_worker_that_is_killed_is_dead_and_a_second_start_completes_the_trial(detached, make, make_trial):
    executor, folder = make(detached), make_trial()
    hold(folder)
    executor.start(folder)
    wait_for(has_begun(folder))
    os.kill(folder.worker().pid, signal.SIGKILL)
    wait_for(lambda: executor.state(folder) != "running")
    assert executor.state(folder) == "dead"
    assert "ended without a result" in executor.reason(folder)
    let_go(folder)
    executor.start(folder)
    wait_for(lambda: executor.state(folder) != "running")
    assert executor.state(folder) == "finished"
    assert len(starts(folder)) == 2


def test_a_worker_that_hangs_is_noticed_and_ended_for_certain(detached, make, make_trial):
    executor, folder = make(detached, stale_after=STALE_AFTER), make_trial()
    hold(folder)
    executor.start(folder)
    wait_for(has_begun(folder))
    pid = folder.worker().pid
    os.kill(pid, signal.SIGSTOP)
    began = time.monotonic()
    wait_for(lambda: executor.state(folder) == "hung")
    assert time.monotonic() - began < 30
    assert "no heartbeat for 6 s" in executor.reason(folder)
    executor.stop(folder)
    assert executor.state(folder) == "dead"
    wait_for(lambda: is_gone(pid))
    let_go(folder)
    executor.start(folder)
    wait_for(lambda: executor.state(folder) == "finished")
    assert len(starts(folder)) == 2


def test_stopping_ends_a_running_trial_whoever_started_it(detached, make, make_trial):
    executor, folder = make(detached), make_trial()
    hold(folder)
    executor.start(folder)
    wait_for(has_begun(folder))
    pid = folder.worker().pid
    make(detached).stop(folder)
    assert not folder.is_locked()
    assert executor.state(folder) == "dead"
    wait_for(lambda: is_gone(pid))
    assert not folder.is_done()


def test_stopping_works_where_interrupts_are_ignored_as_in_the_background_of_a_script(detached, make, make_trial):
    executor, folder = make(detached), make_trial()
    hold(folder)
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        executor.start(folder)
        wait_for(has_begun(folder))
    finally:
        signal.signal(signal.SIGINT, before)
    pid = folder.worker().pid
    executor.stop(folder)
    assert executor.state(folder) == "dead"
    wait_for(lambda: is_gone(pid))


def test_workers_go_on_when_the_driver_is_killed_and_a_new_one_finds_them(
    detached, make, make_trial, config_of, tmp_path
):
    folder = make_trial()
    hold(folder)
    command = [sys.executable, "-c", DRIVER, config_of(detached).model_dump_json(), tmp_path / "study", folder.path]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as driver:
        assert driver.stdout.readline().strip() == "started"
        wait_for(has_begun(folder))
        driver.kill()
    executor = make(detached)
    assert executor.state(folder) == "running"
    executor.start(folder)
    let_go(folder)
    wait_for(lambda: executor.state(folder) == "finished")
    assert len(starts(folder)) == 1


def test_garbage_that_a_worker_leaves_is_an_unusable_result_and_stops_nobody(detached, make, make_trial):
    executor, folder = make(detached), make_trial("scribble")
    executor.start(folder)
    wait_for(lambda: executor.state(folder) == "finished")
    with pytest.raises(TrialResultError, match="unusable result"):
        folder.results()
    assert folder.last_event() is None
    after = make_trial(index=1)
    executor.start(after)
    wait_for(lambda: executor.state(after) == "finished")


def test_a_process_that_has_the_number_of_a_dead_worker_is_left_alone(kind, make, make_trial):
    executor, folder = make(kind), make_trial()
    with subprocess.Popen(["sleep", "1000"]) as bystander:
        worker = Worker(pid=bystander.pid, started=1.0, birth="1")
        write_atomically(folder.path / "worker.json", worker.model_dump_json())
        assert executor.state(folder) == "dead"
        executor.stop(folder)
        assert bystander.poll() is None
        bystander.kill()


def test_what_a_trial_prints_is_in_its_log(detached, make, make_trial):
    executor, folder = make(detached), make_trial()
    executor.start(folder)
    wait_for(lambda: executor.state(folder) == "finished")
    wait_for(lambda: not folder.is_locked())
    assert "hello from the inner loop" in folder.log_file.read_text()
