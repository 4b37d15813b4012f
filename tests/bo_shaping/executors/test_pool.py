"""The moments between a trial and a worker that no clock of a test can hit: each is brought about by hand."""

import os
import shutil
import subprocess
import sys

import pytest

from bo_shaping.executors import pool_worker
from bo_shaping.executors.pool import InHand, Pool
from bo_shaping.executors.processes import this_process
from bo_shaping.storage.file_locks import try_hold
from bo_shaping.storage.process_birth import birth_of
from bo_shaping.storage.trial_folder import TrialFolder
from tests.bo_shaping.executors.conftest import starts


@pytest.fixture
def pool(tmp_path):
    pool = Pool(tmp_path / "study" / "workers")
    with pool.open():
        yield pool


def test_a_worker_is_busy_with_the_trial_that_it_holds_until_the_result_is_there(pool, make_trial):
    seat, folder, me = pool.new_seat(), make_trial(), this_process()
    assert seat.trial() is None
    seat.write_in_hand(InHand(worker=me, trial=str(folder.path)))
    with folder.locked(me):
        assert seat.trial().path == folder.path
        folder.write_failure(folder.job().token, "done")
        assert seat.trial() is None


def test_a_worker_is_not_busy_with_a_trial_that_it_only_reaches_for(pool, make_trial):
    seat, folder, me = pool.new_seat(), make_trial(), this_process()
    seat.write_in_hand(InHand(worker=me, trial=str(folder.path)))
    assert seat.trial() is None
    with folder.locked(me.model_copy(update={"birth": "another process"})):
        assert seat.trial() is None


def test_a_trial_that_was_taken_back_while_a_worker_reached_for_it_is_not_run(pool, make_trial, monkeypatch):
    folder = make_trial()
    monkeypatch.setattr(Pool, "waiting", lambda _: [folder])  # as listed a moment ago
    assert not pool_worker.work_on_next(pool, pool.new_seat())
    assert starts(folder) == []
    pool.enqueue(folder)
    assert pool_worker.work_on_next(pool, pool.new_seat())
    assert len(starts(folder)) == 1
    assert not pool.is_queued(folder)


def test_a_trial_that_is_queued_while_a_worker_leaves_is_still_taken(pool, make_trial, monkeypatch, tmp_path):
    folder, seat, seen = make_trial(), pool.new_seat(), []
    monkeypatch.setattr(pool_worker, "IDLE_SECONDS", 0.0)
    waiting = Pool.waiting

    def queued_at_the_second_look(self):
        seen.append(1)
        if len(seen) == 2:
            self.enqueue(folder)
        return waiting(self)

    monkeypatch.setattr(Pool, "waiting", queued_at_the_second_look)
    with seat.lock_file.open("ab") as lock:
        pool_worker.main(str(tmp_path / "study" / "workers"), seat.lock_file.stem, str(os.dup(lock.fileno())))
    assert folder.has_result()


def test_what_was_queued_before_the_study_was_moved_is_queued_anew_and_never_taken(pool, make_trial, tmp_path):
    folder = make_trial()
    pool.enqueue(folder)
    shutil.copytree(tmp_path / "study", tmp_path / "copy")
    copied = Pool(tmp_path / "copy" / "workers")
    its_trial = TrialFolder(tmp_path / "copy" / "trials" / folder.path.name)
    assert copied.waiting() == []
    assert not copied.is_queued(its_trial)
    copied.enqueue(its_trial)
    assert [trial.path for trial in copied.waiting()] == [its_trial.path]


def test_a_seat_whose_worker_has_ended_is_empty_though_its_lock_is_held(pool):
    seat, me = pool.new_seat(), this_process()
    with seat.lock_file.open("ab") as lock, subprocess.Popen([sys.executable, "-c", "input()"], stdin=-1) as worker:
        assert try_hold(lock)
        worker_id = me.model_copy(update={"pid": worker.pid, "birth": birth_of(worker.pid)})
        seat.write_in_hand(InHand(worker=worker_id, trial=None))
        assert len(pool.seats()) == 1
        worker.kill()
        worker.wait()
        assert pool.seats() == []


def test_rubbish_in_the_folder_is_neither_a_trial_nor_a_worker(pool, tmp_path):
    workers = tmp_path / "study" / "workers"
    (workers / "queue" / "0007").write_bytes(b"\xff")
    (workers / "queue" / "0008").write_text("/nowhere")
    (workers / "old.lock").touch()
    (workers / "old.json").write_text("{")
    assert pool.waiting() == []
    assert pool.seats() == []
    pool.clear_away()
    assert not (workers / "old.json").exists()
