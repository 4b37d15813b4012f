import json
import os
import sqlite3
from collections import namedtuple

import pytest

from bo_shaping.space.arms import to_arm
from bo_shaping.storage.records import Entry
from bo_shaping.storage.trial_folder import Worker
from bo_shaping.views import doctor
from bo_shaping.views.doctor import examine
from tests.bo_shaping.bare_study import add_trial, bare_study


def problems(folder=None):
    return {finding.check: finding for finding in examine(folder) if not finding.is_ok}


@pytest.fixture
def no_models(monkeypatch):
    """Loading the models takes seconds; what that finds has a test of its own."""
    monkeypatch.setattr(doctor, "_models", lambda config: iter(()))


def test_a_study_that_is_well_has_no_problem(finished):
    findings = examine(finished.folder)
    assert all(finding.is_ok for finding in findings)
    texts = {finding.check: finding.text for finding in findings}
    assert texts["trials"].startswith("closed: 10 completed")
    assert texts["storage"].startswith("10 trials in the journal and in sqlite:///")
    assert texts["lease"] == "free"
    assert texts["workers"] == "none at work"
    assert texts["models"].endswith("closed_form:run_trial can be imported")


def test_a_result_that_was_damaged_is_found_and_costs_its_trial_in_the_report_alone(finished, no_models):
    file = finished.folder.trial(1).path / "result.json"
    file.write_text("{")
    assert set(finished.results()) == set(range(10)) - {1}
    finding = problems(finished.folder)["trials"]
    assert f"unusable result {file}" in finding.text
    assert finding.remedy == f"rm {file}"
    file.unlink()
    assert problems(finished.folder) == {}


def test_a_database_behind_the_journal_names_the_remedy_and_the_remedy_works(finished, bo_shaping, no_models):
    record = finished.trial(3).model_copy(update={"index": 10, "status": "running"})
    # What a driver that was killed between journal and database leaves.
    finished.folder.journal.write(Entry(record=record, arm=to_arm(record.weights, record.parameters)))
    found = problems(finished.folder)
    assert set(found) == {"storage"}
    assert "trials 10 in sqlite:///" in found["storage"].text
    remedy = found["storage"].remedy
    assert remedy == "bo-shaping resume closed --trials 0"
    assert bo_shaping(*remedy.split()[1:])[0] == 0
    assert problems(finished.folder) == {}


def test_a_database_without_a_lease_is_only_looked_at(finished, no_models):
    with sqlite3.connect(finished.folder.database_file) as database:
        database.execute("DROP TABLE bo_shaping_lease")
    assert {finding.text for finding in examine(finished.folder) if finding.check == "lease"} == {"free"}
    tables = {name for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    database.close()
    assert "bo_shaping_lease" not in tables
    assert "experiment_v2" in tables


@pytest.mark.parametrize("damage", ["missing", "rubbish", "empty journal"])
def test_damaged_storage_is_found_and_rebuilt(finished, bo_shaping, no_models, damage):
    for suffix in ("-wal", "-shm"):
        (finished.path / f"study.db{suffix}").unlink(missing_ok=True)
    if damage == "missing":
        finished.folder.database_file.unlink()
    elif damage == "rubbish":
        finished.folder.database_file.write_bytes(b"rubbish" * 1000)
    else:
        finished.folder.journal.path.write_bytes(b"")
    found = problems(finished.folder)
    assert "storage" in found
    assert "bo-shaping resume closed --rebuild" in found["storage"].remedy + found["storage"].text
    assert bo_shaping("resume", "closed", "--rebuild", "--trials", 0)[0] == 0
    assert problems(finished.folder) == {}


def test_a_folder_and_a_worker_that_belong_to_nothing_are_found(studies, no_models):
    folder = bare_study(studies / "toy")
    add_trial(folder, 0, "completed")
    (folder.path / "trials" / "0007").mkdir()
    with folder.trial(0).locked(Worker(pid=4321, started=0.0)):
        found = [finding for finding in examine(folder) if finding.check in ("trials", "workers")]
    texts = [(finding.is_ok, finding.text, finding.remedy) for finding in found]
    assert (False, "process 4321 still works on trial 0, which is completed", "kill 4321") in texts
    assert any(not is_ok and "0007 belongs to no trial" in text for is_ok, text, _ in texts)


def test_an_interrupted_study_is_no_problem_but_says_how_to_go_on(studies, no_models):
    folder = bare_study(studies / "toy")
    add_trial(folder, 0, "running")
    [finding] = [finding for finding in examine(folder) if finding.check == "trials"]
    assert finding.is_ok
    assert "1 interrupted" in finding.text
    assert finding.remedy == "bo-shaping resume toy"


@pytest.mark.parametrize(
    ("free", "size", "is_enough"),
    [(400e6, 0, False), (600e6, 0, True), (600e6, 200e6, False), (3e9, 200e6, True)],
)
def test_the_disk_must_hold_the_rest_of_the_budget(studies, no_models, monkeypatch, free, size, is_enough):
    folder = bare_study(studies / "toy", budget={"trials": 11})
    add_trial(folder, 0, "completed")
    with (folder.trial(0).path / "result.json").open("wb") as file:
        file.truncate(int(size))
    usage = namedtuple("usage", "total used free")(10**12, 0, int(free))
    monkeypatch.setattr(doctor.shutil, "disk_usage", lambda path: usage)
    assert ("disk" not in problems(folder)) == is_enough


@pytest.mark.parametrize(
    ("requirement", "text"),
    [
        ("no-such-package>=1", "no-such-package (no version) is installed, >=1 is needed"),
        ("rich>=999", "is installed, >=999 is needed"),
    ],
)
def test_a_package_that_is_missing_or_too_old_is_named_with_the_command(no_models, monkeypatch, requirement, text):
    extra = "also-missing>=1; extra == 'ray'"
    monkeypatch.setattr(doctor.metadata, "requires", lambda name: ["pydantic>=2", requirement, extra])
    found = problems()
    assert set(found) == {"installation"}
    assert text in found["installation"].text
    assert found["installation"].remedy == f"pip install '{requirement}'"


def test_a_model_that_is_not_there_is_found(studies):
    folder = bare_study(studies / "toy", task={"policy": "/no/such/model"})
    assert "/no/such/model" in problems(folder)["models"].text


def test_a_driver_that_lives_but_does_not_answer_is_a_problem(finished, no_models, monkeypatch):
    monkeypatch.setattr(doctor, "STALE_SECONDS", -1.0)
    with finished._ledger.driven():
        found = problems(finished.folder)["lease"]
    assert f"held by process {os.getpid()} on" in found.text
    assert "bo-shaping resume closed" in found.remedy


def test_the_verb_prints_remedies_and_exits_with_1(bo_shaping, studies, no_models):
    folder = bare_study(studies / "toy")
    (folder.path / "trials" / "0007").mkdir(parents=True)
    code, out, _ = bo_shaping("doctor", "toy")
    assert code == 1
    assert "problem  trials: " in out
    assert "         remedy: remove it, unless you know what it is" in out
    code, out, _ = bo_shaping("doctor", "--json")
    assert (code, json.loads(out)[0]["check"]) == (0, "installation")
    assert bo_shaping("doctor", "none")[0] == 2
