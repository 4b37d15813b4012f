"""What is special about trials in the driver's own process: those that a worker of another kind still has in hand."""

import subprocess
import sys

import pytest

from bo_shaping.executors.inline import InlineExecutor
from bo_shaping.executors.observer import Observer
from tests.bo_shaping.executors.conftest import hold, let_go, starts, wait_for


@pytest.fixture
def worker_on():
    """Starts a worker on a trial, as another executor would."""
    workers = []

    def worker_on(folder):
        program = "import sys; from bo_shaping.executors.worker import main; main(sys.argv[1])"
        workers.append(subprocess.Popen([sys.executable, "-c", program, str(folder.path)]))
        wait_for(lambda: starts(folder))
        return workers[-1]

    yield worker_on
    for worker in workers:
        worker.kill()
        worker.wait()


def test_a_trial_that_another_worker_has_in_hand_is_left_to_it(make_trial, worker_on):
    executor, folder = InlineExecutor(Observer(stale_after=60)), make_trial()
    hold(folder)
    worker_on(folder)
    executor.start(folder)
    assert executor.state(folder) == "running"
    let_go(folder)
    wait_for(lambda: executor.state(folder) != "running")
    assert executor.state(folder) == "finished"
    assert len(starts(folder)) == 1


def test_another_worker_can_be_stopped_and_the_trial_run_inline(make_trial, worker_on):
    executor, folder = InlineExecutor(Observer(stale_after=60)), make_trial()
    hold(folder)
    worker = worker_on(folder)
    executor.stop(folder)
    assert worker.wait() != 0
    assert executor.state(folder) == "dead"
    let_go(folder)
    executor.start(folder)
    assert executor.state(folder) == "finished"
