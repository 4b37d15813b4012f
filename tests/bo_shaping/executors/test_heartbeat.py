import time

import pytest

from bo_shaping.executors import heartbeat
from bo_shaping.executors.heartbeat import HeartbeatWatch, beating, seconds_so_far
from bo_shaping.executors.observer import Observer
from bo_shaping.executors.processes import this_process
from bo_shaping.storage.trial_folder import Job, TrialFolder
from inner_loop.spec import TrialSpec
from tests.bo_shaping.executors.conftest import wait_for


@pytest.fixture
def clock(monkeypatch):
    """The watcher's monotonic clock, in the test's hands."""
    now = [100.0]
    monkeypatch.setattr(heartbeat.time, "monotonic", lambda: now[0])
    return now


def pass_seconds(clock, seconds, look):
    for _ in range(int(seconds / 0.5)):
        clock[0] += 0.5
        look()


def test_a_count_that_moves_is_never_stale_and_one_that_stands_still_is_after_the_time_given(clock, tmp_path):
    watch, file = HeartbeatWatch(20.0), tmp_path / "heartbeat"
    for count in range(50):
        file.write_text(str(count))
        assert not watch.is_stale(file)
        clock[0] += 2.0
    looks = []
    pass_seconds(clock, 30.0, lambda: looks.append(watch.is_stale(file)))
    assert looks.index(True) * 0.5 == pytest.approx(20.0, abs=3.0)
    file.write_text("moved")
    assert not watch.is_stale(file)


def test_a_heartbeat_that_never_came_stands_still_too(clock, tmp_path):
    watch = HeartbeatWatch(20.0)
    looks = []
    pass_seconds(clock, 30.0, lambda: looks.append(watch.is_stale(tmp_path / "none")))
    assert (looks[0], looks[-1]) == (False, True)


def test_a_watcher_that_was_away_for_an_hour_raises_no_alarm_when_it_comes_back(clock, tmp_path):
    # As after a laptop's sleep: worker and watcher stood still together.
    watch, file = HeartbeatWatch(20.0), tmp_path / "heartbeat"
    file.write_text("1")
    watch.is_stale(file)
    clock[0] += 3600
    assert not watch.is_stale(file)


def test_another_worker_starts_anew(clock, tmp_path):
    watch, file = HeartbeatWatch(20.0), tmp_path / "heartbeat"
    pass_seconds(clock, 30.0, lambda: watch.is_stale(file))
    watch.forget(file)
    assert not watch.is_stale(file)


def test_the_count_goes_up_while_the_process_computes_and_never_asks_what_time_it_is(monkeypatch, tmp_path):
    def no_clock():
        raise AssertionError("the wall clock may jump")

    monkeypatch.setattr(time, "time", no_clock)
    monkeypatch.setattr(heartbeat, "BEAT_SECONDS", 0.05)
    file, seen = tmp_path / "heartbeat", set()
    with beating(file):

        def look():
            sum(range(20_000))  # holds the interpreter
            seen.add(file.read_bytes())
            return len(seen) >= 5

        wait_for(look)
    assert {len(content) for content in seen} == {28}
    assert seconds_so_far(file) > 0.1


@pytest.mark.parametrize("content", [b"", b"\xff\x00", b"12", b"12 soon"])
def test_a_damaged_heartbeat_is_read_as_none(tmp_path, content):
    file = tmp_path / "heartbeat"
    file.write_bytes(content)
    assert seconds_so_far(file) == 0.0


def test_a_trial_that_takes_longer_than_it_may_counts_as_hung(tmp_path):
    folder = TrialFolder(tmp_path)
    folder.prepare(Job.of("m:f", [TrialSpec(weights={"sparse": 1.0})]))
    observer = Observer(stale_after=20.0, trial_seconds=60.0)
    with folder.locked(this_process()):
        assert observer.state(folder, lambda: False) == "running"
        folder.heartbeat_file.write_text(f"{30:12d} {59.0:14.1f}\n")
        assert observer.state(folder, lambda: False) == "running"
        folder.heartbeat_file.write_text(f"{31:12d} {61.0:14.1f}\n")
        assert observer.state(folder, lambda: False) == "hung"
        assert observer.reason(folder) == "the trial took longer than budget.trial_seconds = 60"
        # What waits to be started again has no heartbeat yet.
        observer.starts(folder)
        assert observer.state(folder, lambda: True) == "running"
