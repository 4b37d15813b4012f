import os
import sys
import time

import pytest

from bo_shaping.running.kept_report import FIRST_SECONDS, MOST_SECONDS, REST, KeptReport, kept_report
from tests.bo_shaping.bare_study import add_trial, bare_study


class Clock:
    """A clock that somebody sets."""

    def __init__(self):
        self.now = 1000.0

    def __call__(self):
        return self.now


class Writer:
    """A command that counts how often it was begun, and then does what it is told."""

    def __init__(self, folder, then="pass"):
        self._file = folder / "begun"
        script = f"import time\nwith open({str(self._file)!r}, 'a') as file: file.write('x')\n{then}"
        self.command = [sys.executable, "-S", "-c", script]

    @property
    def n(self):
        return len(self._file.read_text()) if self._file.exists() else 0


@pytest.fixture
def folder(studies):
    folder = bare_study(studies / "toy")
    add_trial(folder, 0, "completed")
    return folder


@pytest.fixture
def clock():
    return Clock()


def look_until_ended(report, seconds=60.0):
    """Looks until the process that was begun has ended."""
    end = time.monotonic() + seconds
    while report._process is not None:
        assert time.monotonic() < end
        time.sleep(0.01)
        report.look()


def test_a_report_follows_the_trials_and_rests_between(folder, clock, tmp_path):
    writer = Writer(tmp_path)
    report = KeptReport(folder, command=writer.command, clock=clock)
    clock.now += FIRST_SECONDS - 1
    report.look()
    assert report._process is None
    clock.now += 1
    report.look()
    clock.now += 10
    look_until_ended(report)
    assert writer.n == 1
    add_trial(folder, 1, "completed")
    clock.now += 10 * REST - 1
    report.look()
    assert report._process is None
    clock.now += 1
    report.look()
    look_until_ended(report)
    assert writer.n == 2


def test_nothing_is_written_again_while_no_trial_has_ended(folder, clock, tmp_path):
    writer = Writer(tmp_path)
    report = KeptReport(folder, command=writer.command, clock=clock)
    for _ in range(3):
        clock.now += 10 * FIRST_SECONDS
        report.look()
        look_until_ended(report)
        add_trial(folder, 1, "running")
    assert writer.n == 1


def test_a_look_waits_for_nobody_and_a_report_that_hangs_is_given_up(folder, clock, tmp_path):
    report = KeptReport(folder, command=Writer(tmp_path, "time.sleep(600)").command, clock=clock)
    clock.now += FIRST_SECONDS
    report.look()
    process, begun = report._process, time.monotonic()
    for _ in range(20):
        report.look()
    assert time.monotonic() - begun < 30
    assert process.poll() is None
    clock.now += MOST_SECONDS
    report.look()
    assert process.poll() is not None
    assert report._process is None
    assert report.finish() == "The report could not be written; see why with: bo-shaping report toy"


def test_a_report_that_fails_or_cannot_be_begun_costs_nothing(folder, clock, tmp_path):
    for command in (Writer(tmp_path, "raise SystemExit(2)").command, [str(tmp_path / "no-such-program")]):
        report = KeptReport(folder, command=command, clock=clock)
        clock.now += FIRST_SECONDS
        report.look()
        look_until_ended(report)
        assert "could not be written" in report.finish()


def test_the_end_of_a_long_run_waits_for_the_last_trials(folder, clock, tmp_path):
    writer = Writer(tmp_path)
    report = KeptReport(folder, command=writer.command, clock=clock)
    assert report.finish() == ""
    assert writer.n == 0
    clock.now += FIRST_SECONDS
    report.look()
    add_trial(folder, 1, "completed")
    assert report.finish() == f"Report: {folder.path / 'report' / 'index.html'}"
    assert writer.n == 2
    assert report.finish() != ""
    assert writer.n == 2


def test_who_writes_ends_with_the_run(folder, tmp_path):
    begun = []

    def interrupted():
        with kept_report(folder) as report:
            report._process = KeptReport(folder, command=Writer(tmp_path, "time.sleep(600)").command)._start()
            begun.append(report._process)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    [process] = begun
    assert process.returncode is not None
    with pytest.raises(ProcessLookupError):
        os.kill(process.pid, 0)
