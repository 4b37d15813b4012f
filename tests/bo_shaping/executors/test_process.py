"""What is special about processes on this machine: workers that are used again, GPUs, nobody left behind."""

import os
import signal
import subprocess
import sys

import pytest

from bo_shaping import Study
from bo_shaping.errors import ConfigError, ExecutorError
from bo_shaping.executors import gpu_slots, pool, pool_worker, process
from bo_shaping.executors.gpu_slots import GpuSlots, visible_devices
from bo_shaping.executors.heartbeat import HeartbeatWatch
from bo_shaping.executors.observer import Observer
from bo_shaping.executors.process import ProcessExecutor
from bo_shaping.executors.processes import this_process
from bo_shaping.storage.trial_folder import Job, TrialFolder
from inner_loop.spec import TrialSpec
from tests.bo_shaping.executors.conftest import hold, is_gone, let_go, starts, wait_for

TINY = {
    "ppo": {"steps": 1, "rollout_size": 4, "minibatch_size": 4, "epochs": 1},
    "attribution": {"budget": 8, "units": "spans", "max_units": 4},
    "evaluation": {"n_prompts": 4},
    "n_samples": 0,
}


@pytest.fixture
def make(tmp_path, monkeypatch):
    """Process executors of one study."""
    monkeypatch.setattr(gpu_slots.tempfile, "gettempdir", lambda: str(tmp_path))
    made = []

    def make(gpus=None):
        observer = Observer(stale_after=20)
        made.append(ProcessExecutor(tmp_path / "study" / "workers", observer, stale_after=20, threads=1, gpus=gpus))
        return made[-1]

    yield make
    for executor in made:
        executor.close()


def run(executor, folder):
    executor.start(folder)
    wait_for(lambda: executor.state(folder) != "running")
    assert executor.state(folder) == "finished", executor.reason(folder)
    return folder


@pytest.mark.parametrize(
    ("in_hand", "state"),
    [("no word", "dead"), (None, "dead"), ("second", "dead"), ("first", "running")],
    ids=["cannot begin", "idle", "reaching for it", "with another trial"],
)
def test_a_queued_trial_is_dead_only_if_its_worker_ended_and_not_with_another_trial(
    make, make_trial, monkeypatch, in_hand, state
):
    # Two workers start, both reach for the first trial, and one gets it: for a moment nobody looks free.
    executor, first, second = make(), make_trial(index=0), make_trial(index=1)
    sleeper = f"{process.__name__}.subprocess.Popen"
    popen = subprocess.Popen
    monkeypatch.setattr(sleeper, lambda command, pass_fds, **options: popen(["sleep", "300"], pass_fds=pass_fds))
    executor.start(first)
    executor.start(second)
    children = dict(executor._children)
    assert len(children) == 2
    trial = {"first": str(first.path), "second": str(second.path)}.get(in_hand)
    for lock in children if in_hand != "no word" else ():
        executor._pool.seat(lock.stem).write_in_hand(pool.InHand(worker=this_process(), trial=trial))
    with first.locked(this_process()):
        executor._pool.dequeue(first)
        assert executor.state(second) == "running"
        assert executor._pool.is_queued(second)
        seat = executor._started_for[second.path]
        children[seat.lock_file].kill()
        children[seat.lock_file].wait()
        assert executor.state(second) == state
        if state == "running":
            # Somebody else will try it.
            assert executor._started_for[second.path].lock_file not in children
    for child in (*children.values(), *executor._children.values()):
        child.kill()
        child.wait()


def test_a_trial_is_queued_also_while_a_worker_only_looks_at_it(make, make_trial):
    executor, folder = make(), make_trial()
    with folder.locked(this_process()):
        executor.start(folder)
    wait_for(lambda: executor.state(folder) != "running")
    assert executor.state(folder) == "finished"
    assert len(starts(folder)) == 1


def test_a_trial_that_seemed_to_run_while_a_worker_only_looked_at_it_is_queued(make, make_trial):
    executor, folder = make(), make_trial()
    with folder.locked(this_process()):
        assert executor.state(folder) == "running"
    wait_for(lambda: executor.state(folder) != "running")
    assert executor.state(folder) == "finished"


def test_a_trial_whose_worker_has_begun_and_is_gone_is_not_queued_by_a_look(make, make_trial):
    executor, folder = make(), make_trial()
    with folder.locked(this_process()):
        folder.heartbeat_file.touch()
        assert executor.state(folder) == "running"
    assert executor.state(folder) == "dead"
    assert starts(folder) == []


def test_the_next_trial_goes_to_the_worker_of_the_last_one(make, make_trial):
    executor = make()
    first, second = (starts(run(executor, make_trial(index=index)))[0] for index in (0, 1))
    assert second["pid"] == first["pid"]
    assert (first["call"], second["call"]) == (1, 2)


def test_trials_side_by_side_have_a_worker_each(make, make_trial):
    executor, folders = make(), [make_trial(index=index) for index in range(2)]
    for folder in folders:
        hold(folder)
        executor.start(folder)
    for folder in folders:
        wait_for(lambda folder=folder: starts(folder))
    assert len({starts(folder)[0]["pid"] for folder in folders}) == 2
    for folder in folders:
        let_go(folder)
        wait_for(lambda folder=folder: executor.state(folder) == "finished")


def test_a_queued_trial_that_is_stopped_is_never_run(make, make_trial, monkeypatch):
    executor, folder = make(), make_trial()
    with monkeypatch.context() as nobody:
        nobody.setattr(ProcessExecutor, "_start_worker", lambda *_: folder.path / "no.log")
        executor.start(folder)
    executor.stop(folder)
    assert executor.state(folder) == "dead"
    run(executor, make_trial(index=1))
    assert starts(folder) == []


def test_closing_leaves_no_process_and_no_file_of_one(make, make_trial, tmp_path):
    executor = make()
    pid = starts(run(executor, make_trial()))[0]["pid"]
    executor.close()
    assert is_gone(pid)
    assert sorted(file.name for file in (tmp_path / "study" / "workers").iterdir()) == ["in_use.lock", "queue"]


def test_a_worker_that_is_busy_when_its_executor_closes_finishes_its_trial_and_goes(make, make_trial):
    executor, folder = make(), make_trial()
    hold(folder)
    executor.start(folder)
    wait_for(lambda: starts(folder))
    executor.close()
    assert folder.is_locked()
    let_go(folder)
    wait_for(folder.has_result)
    wait_for(lambda: is_gone(starts(folder)[0]["pid"]))


def test_no_worker_is_left_after_a_study(make_config, monkeypatch):
    study = Study.launch(make_config(executor="process", budget={"trials": 3}))
    pids, popen = set(), subprocess.Popen

    def start(*args, **settings):
        child = popen(*args, **settings)
        pids.add(child.pid)
        return child

    monkeypatch.setattr(process.subprocess, "Popen", start)
    study.run()
    monkeypatch.undo()
    assert set(study.trials()["status"]) == {"completed"}
    assert 1 <= len(pids) <= 2
    for pid in pids:
        wait_for(lambda pid=pid: is_gone(pid))


def test_a_worker_that_cannot_begin_is_dead_with_what_it_said(make, make_trial, monkeypatch):
    executor, folder = make(), make_trial()
    monkeypatch.setenv("PYTHONPATH", "/nowhere")
    monkeypatch.setattr(process.sys, "executable", sys.executable)
    monkeypatch.chdir("/")
    monkeypatch.setattr(process, "thread_limits", lambda _: {"PYTHONHOME": "/nowhere"})
    executor.start(folder)
    wait_for(lambda: executor.state(folder) == "dead")
    assert "the worker ended before it took the trial (" in executor.reason(folder)
    monkeypatch.undo()
    monkeypatch.setenv("PYTHONPATH", os.getcwd())
    run(executor, folder)


def test_an_idle_worker_that_hangs_is_not_waited_for(make, make_trial):
    executor = make()
    executor._idle_watch = HeartbeatWatch(3.0)
    pid = starts(run(executor, make_trial()))[0]["pid"]
    os.kill(pid, signal.SIGSTOP)
    folder = run(executor, make_trial(index=1))
    assert starts(folder)[0]["pid"] != pid
    assert is_gone(pid)


def test_an_idle_worker_goes_after_a_while(make, make_trial, monkeypatch, tmp_path):
    make()  # somebody might still start trials
    workers = pool.Pool(tmp_path / "study" / "workers")
    seat = workers.new_seat()
    monkeypatch.setattr(pool_worker, "IDLE_SECONDS", 0.2)
    with seat.lock_file.open("ab") as lock:
        pool_worker.main(str(tmp_path / "study" / "workers"), seat.lock_file.stem, str(os.dup(lock.fileno())))
    assert workers.seats() == []


def test_the_second_training_of_a_worker_is_bit_for_bit_that_of_a_fresh_process(make, tmp_path):
    specs = [TrialSpec(weights={name: 1.0}, **TINY) for name in ("shap", "lime")]

    def trained(executor, spec, name):
        folder = TrialFolder(tmp_path / "study" / "trials" / name)
        folder.prepare(Job.of("inner_loop.trial:run_trial", [spec]))
        (result,) = run(executor, folder).results()
        none = {"seconds": {}, "peak_memory_mb": 0.0, "tokens_per_second": None}
        (worker,) = executor._children.values()
        return result.model_copy(update=none), worker.pid

    used = make()
    _, first_worker = trained(used, specs[0], "0000")
    second, second_worker = trained(used, specs[1], "0001")
    assert first_worker == second_worker
    used.close()
    alone, other_worker = trained(make(), specs[1], "0002")
    assert other_worker != second_worker
    assert second == alone


@pytest.mark.parametrize(
    ("named", "devices"),
    [("0,1", ["0", "1"]), (" 2 , GPU-ab ", ["2", "GPU-ab"]), ("", []), ("1,-1,2", ["1"]), ("-1", [])],
)
def test_visible_devices_are_those_that_cuda_would_see(monkeypatch, named, devices):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", named)
    assert visible_devices() == devices


def test_without_the_variable_pytorch_counts_the_devices(monkeypatch):
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setattr("torch.cuda.device_count", lambda: 3)
    assert visible_devices() == ["0", "1", "2"]


def test_more_gpus_than_there_are_is_said_at_once(monkeypatch, make_config, tmp_path):
    from bo_shaping.executors import make_executor
    from bo_shaping.storage.study_folder import StudyFolder

    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")
    config = make_config(executor="process", workers={"gpus_per_trial": 2})
    with pytest.raises(ConfigError, match=r"gpus_per_trial is 2, but 1 GPUs are visible.*\(CUDA_VISIBLE_DEVICES=0\)"):
        make_executor(config, StudyFolder(tmp_path / "study"))


@pytest.mark.parametrize("fault", ["of another", "open to others", "a link", "a file"])
def test_gpus_are_not_reserved_in_a_folder_that_others_can_open(monkeypatch, tmp_path, fault):
    monkeypatch.setattr(gpu_slots.tempfile, "gettempdir", lambda: str(tmp_path))
    folder = tmp_path / f"bo-shaping-gpus-{os.getuid()}"
    if fault == "of another":
        folder = tmp_path / "bo-shaping-gpus-4242"
        folder.mkdir(mode=0o700)
        monkeypatch.setattr(gpu_slots.os, "getuid", lambda: 4242)
    elif fault == "open to others":
        folder.mkdir()
        folder.chmod(0o755)
    elif fault == "a link":
        (tmp_path / "elsewhere").mkdir(mode=0o700)
        folder.symlink_to(tmp_path / "elsewhere")
    else:
        folder.touch()
    with pytest.raises(ExecutorError, match=r"bo-shaping-gpus-\d+, where GPUs are reserved, is not.*set TMPDIR"):
        GpuSlots(1, ["0"]).take()


def test_a_slot_is_free_again_when_its_process_is_killed(monkeypatch, tmp_path):
    monkeypatch.setattr(gpu_slots.tempfile, "gettempdir", lambda: str(tmp_path))
    slots = GpuSlots(2, ["0", "1", "GPU-2"])
    held = slots.take()
    assert held.names == "0,1"
    assert slots.take() is None  # and what was taken on the way is given back:
    assert GpuSlots(1, ["GPU-2"]).take().names == "GPU-2"
    with subprocess.Popen(["sleep", "1000"], pass_fds=held.descriptors) as process:
        held.let_go()
        assert slots.take() is None
        process.kill()
    assert slots.take().names == "0,1"


def test_what_a_killed_worker_leaves_behind_holds_neither_its_seat_nor_its_gpu(make, make_trial):
    executor, folder = make(GpuSlots(1, ["5"])), make_trial("run_with_helper")
    hold(folder)
    executor.start(folder)
    wait_for(lambda: starts(folder))
    os.kill(starts(folder)[0]["pid"], signal.SIGKILL)
    wait_for(lambda: executor.state(folder) == "dead")
    helper = int((folder.path / "helper").read_text())
    assert not is_gone(helper)
    executor.start(folder)
    wait_for(lambda: len(starts(folder)) == 2, 60)
    assert not is_gone(helper)
    let_go(folder)
    wait_for(lambda: executor.state(folder) == "finished")


def test_workers_get_gpus_of_their_own_and_trials_wait_for_them(make, make_trial):
    executor, folders = make(GpuSlots(1, ["5", "7"])), [make_trial(index=index) for index in range(3)]
    for folder in folders:
        hold(folder)
        executor.start(folder)
    wait_for(lambda: starts(folders[0]) and starts(folders[1]))
    assert {starts(folder)[0]["devices"] for folder in folders[:2]} == {"5", "7"}
    assert executor.state(folders[2]) == "running"
    assert starts(folders[2]) == []
    # The GPU of a killed worker goes to a new worker.
    os.kill(folders[0].worker().pid, signal.SIGKILL)
    wait_for(lambda: executor.state(folders[0]) == "dead")
    wait_for(lambda: executor.state(folders[2]) == "running" and starts(folders[2]))
    assert starts(folders[2])[0]["devices"] == starts(folders[0])[0]["devices"]
    for folder in folders[1:]:
        let_go(folder)
        wait_for(lambda folder=folder: executor.state(folder) == "finished")
