import os
import time

import pytest

from bo_shaping.executors.folder import Job, TrialFolder
from bo_shaping.executors.process import ProcessExecutor
from inner_loop.spec import TrialSpec


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("CLOSED_FORM_LOG", str(tmp_path / "starts.log"))
    (tmp_path / "hold").write_text("")
    folder = TrialFolder(tmp_path / "0000")
    spec = TrialSpec(weights={"sparse": 1.0})
    folder.prepare(Job.of("tests.bo_shaping.closed_form:run_slowly", [spec], threads=1))
    return folder


def wait_for(condition, seconds=300.0):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "timed out"
        time.sleep(0.02)


def test_a_second_executor_attaches_to_a_running_trial_and_starts_nothing_twice(folder, tmp_path):
    first, second = ProcessExecutor(), ProcessExecutor()
    assert first.state(folder) == "dead"
    first.start(folder)
    assert first.state(folder) == "running"
    wait_for(folder.is_locked)
    assert second.state(folder) == "running"
    second.start(folder)
    (tmp_path / "hold").unlink()
    wait_for(lambda: second.state(folder) == "finished")
    assert first.state(folder) == "finished"
    assert len((tmp_path / "starts.log").read_text().splitlines()) == 1


@pytest.mark.parametrize("same", [True, False])
def test_stopping_ends_the_worker_whoever_started_it(folder, same):
    first = ProcessExecutor()
    first.start(folder)
    wait_for(lambda: folder.last_event() is not None)
    pid = folder.worker().pid
    (first if same else ProcessExecutor()).stop(folder)
    assert first.state(folder) == "dead"
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_a_worker_that_is_killed_is_dead_and_can_be_started_again(folder, tmp_path):
    executor = ProcessExecutor()
    executor.start(folder)
    wait_for(lambda: folder.last_event() is not None)
    os.kill(folder.worker().pid, 9)
    wait_for(lambda: executor.state(folder) == "dead")
    (tmp_path / "hold").unlink()
    executor.start(folder)
    wait_for(lambda: executor.state(folder) == "finished")
    assert len(folder.results()) == 1
