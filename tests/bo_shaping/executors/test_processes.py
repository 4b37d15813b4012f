import os
import subprocess
import sys

import pytest

from bo_shaping.errors import ExecutorError
from bo_shaping.executors import processes
from bo_shaping.executors.processes import end_process, end_worker, is_alive, this_process
from bo_shaping.storage import process_birth
from bo_shaping.storage.process_birth import birth_of
from bo_shaping.storage.trial_folder import TrialFolder, Worker
from tests.bo_shaping.executors.conftest import is_gone, wait_for


@pytest.fixture
def bystander():
    with subprocess.Popen(["sleep", "1000"], start_new_session=True) as process:
        yield process
        process.kill()


def worker_of(process, **changes):
    worker = Worker(pid=process.pid, started=0.0, birth=birth_of(process.pid), host=this_process().host)
    return worker.model_copy(update=changes)


def test_a_process_is_itself_until_it_ends(bystander):
    worker = worker_of(bystander)
    assert is_alive(worker)
    assert is_alive(this_process())
    bystander.kill()
    wait_for(lambda: is_gone(bystander.pid))  # ended, though nobody has asked for its exit status yet
    assert not is_alive(worker)


@pytest.mark.parametrize("changes", [{"birth": "1"}, {"host": "elsewhere"}])
def test_another_process_of_the_same_number_is_left_alone(bystander, changes):
    worker = worker_of(bystander, **changes)
    assert not is_alive(worker)
    assert not end_process(worker, lambda: False)
    assert bystander.poll() is None


def test_without_proc_a_process_is_told_by_ps(bystander, monkeypatch, tmp_path):
    real = worker_of(bystander)
    monkeypatch.setattr(process_birth, "Path", lambda path: tmp_path / "nothing" if path.startswith("/proc") else path)
    by_ps = worker_of(bystander)
    if by_ps.birth == "unknown":
        pytest.skip("/bin/ps is not installed")
    assert by_ps.birth != real.birth
    assert is_alive(by_ps)
    assert not is_alive(by_ps.model_copy(update={"birth": "Mon Jan  1 00:00:00 2001"}))
    bystander.kill()
    bystander.wait()
    assert not is_alive(by_ps)


def test_a_process_that_ignores_the_request_is_killed_with_its_children(monkeypatch):
    monkeypatch.setattr(processes, "TERM_SECONDS", 0.2)
    script = (
        "import signal, subprocess, sys, time\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "print(subprocess.Popen(['sleep', '1000']).pid, flush=True)\ntime.sleep(1000)"
    )
    command = [sys.executable, "-c", script]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=True) as process:
        child = int(process.stdout.readline())
        assert end_process(worker_of(process), lambda: process.poll() is not None)
    wait_for(lambda: is_gone(child))


def test_a_process_that_leads_no_session_is_ended_alone():
    # Its group is this process's own.
    with subprocess.Popen(["sleep", "1000"]) as process:
        assert os.getpgid(process.pid) == os.getpgid(0)
        assert end_process(worker_of(process), lambda: process.poll() is not None)


def test_a_worker_that_cannot_be_ended_is_an_error_that_names_it(bystander, monkeypatch, tmp_path):
    monkeypatch.setattr(processes, "KILL_SECONDS", 0.3)
    folder = TrialFolder(tmp_path)
    error = pytest.raises(ExecutorError, match=rf"process {bystander.pid} on elsewhere; end it there")
    with folder.locked(worker_of(bystander, host="elsewhere")), error:
        end_worker(folder)
    assert bystander.poll() is None
