"""A driver that is killed at any moment loses nothing and repeats nothing: real processes, real SIGKILL."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest

from bo_shaping import Study
from bo_shaping.storage.study_folder import StudyFolder
from inner_loop.io.atomic_file import write_atomically


@pytest.fixture
def cli(tmp_path, monkeypatch):
    """Starts `bo-shaping` with the slow closed-form inner loop in a process of its own."""
    monkeypatch.setenv("CLOSED_FORM_LOG", str(tmp_path / "starts.log"))
    started = []

    def start(*arguments):
        command = [sys.executable, "-m", "bo_shaping.cli", *map(str, arguments)]
        started.append(subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True))
        return started[-1]

    yield start
    for process in started:
        process.kill()
        process.communicate()


def wait_for(condition, process, seconds=300):
    deadline = time.monotonic() + seconds
    while not condition():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline, "timed out"
        time.sleep(0.05)


def starts(tmp_path):
    return (tmp_path / "starts.log").read_text().splitlines()


def test_kill_9_of_the_driver_loses_no_trial_and_runs_none_twice(cli, tmp_path, make_config, studies):
    path = tmp_path / "study.yaml"
    path.write_text(make_config("run_slowly", executor="process", budget={"trials": 6}).to_yaml())
    folder = StudyFolder(studies / "closed")
    hold = tmp_path / "hold"
    hold.write_text("sparse shap")  # trials 0 and 1 pass
    driver = cli("launch", path)
    # Two trials are done; of the two that run, one worker dies with the driver and one outlives it.
    wait_for(lambda: folder.trial(3).last_event() is not None, driver)
    wait_for(lambda: folder.trial(2).last_event() is not None, driver)
    os.kill(driver.pid, signal.SIGKILL)
    os.kill(folder.trial(2).worker().pid, signal.SIGKILL)
    driver.communicate()
    assert folder.driver() is None
    assert folder.trial(3).is_locked()
    before = {record.index: record for record in folder.records()}
    assert [before[index].status for index in (0, 1)] == ["completed", "completed"]

    hold.unlink()
    resumed = cli("resume", "closed")
    _, err = resumed.communicate(timeout=300)
    assert resumed.returncode == 0, err
    after = {record.index: record for record in folder.records()}
    assert sorted(after) == list(range(6))
    assert {record.status for record in after.values()} == {"completed"}
    for index, record in before.items():
        assert (after[index].weights, after[index].parameters) == (record.weights, record.parameters)
    assert after[0] == before[0]
    # Nothing ran twice but the trial whose worker was killed.
    log = starts(tmp_path)
    assert len(set(log)) == 6
    assert len(log) == 7
    assert [trial.status.name for trial in Study.load("closed").ax_client._experiment.trials.values()] == [
        "COMPLETED"
    ] * 6


def test_a_result_that_was_damaged_on_disk_fails_its_trial_and_nothing_else(monkeypatch, make_config):
    study = Study.launch(make_config(budget={"trials": 3}))
    write = "bo_shaping.storage.trial_folder.TrialFolder.write_results"

    def write_rubbish(self, token, results):
        write_atomically(self.path / "result.json", json.dumps({"token": token, "results": [{"mean": "much"}]}))

    monkeypatch.setattr(write, write_rubbish)
    study.run(1)
    monkeypatch.undo()
    monkeypatch.setenv("BO_SHAPING_STUDIES", str(study.path.parent))
    study.run()
    trials = study.trials()
    assert list(trials["status"]) == ["failed", "completed", "completed"]
    assert trials.loc[0, "reason"].startswith("unusable result ")
    assert "0000/result.json: results, entry 1, mean: 'much' is not a number" in trials.loc[0, "reason"]
