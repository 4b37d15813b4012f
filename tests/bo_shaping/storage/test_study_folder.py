import os
from pathlib import Path

import pytest

from bo_shaping.config import StudyConfig
from bo_shaping.errors import StudyLockedError, StudyNotFoundError
from bo_shaping.storage.records import TrialRecord
from bo_shaping.storage.study_folder import StudyFolder, find_study
from bo_shaping.storage.trial_folder import Job
from bo_shaping.text.passwords import without_password
from inner_loop.spec import CurvePoint, TrialSpec
from tests.bo_shaping import closed_form
from tests.bo_shaping.bare_study import add_trial, write_record

ARM = {"weights": {"shap": 0.5, "sparse": 0.5}, "parameters": {"gae_lambda": 0.9}}


@pytest.fixture
def folder(studies):
    folder = StudyFolder(studies / "alpha")
    folder.path.mkdir(parents=True)
    folder.config_file.write_text(StudyConfig(name="alpha", storage="postgresql://host/db").to_yaml())
    return folder


def test_a_study_is_found_by_name_by_folder_and_by_storage_url(folder, monkeypatch):
    path = folder.path.resolve()
    assert find_study("alpha").path == path
    assert find_study(folder.path).path == path
    assert find_study("postgresql://host/db").path == path
    monkeypatch.chdir(folder.path.parent)
    assert find_study("./alpha").path == path


def test_a_database_with_several_studies_needs_a_name(folder):
    other = StudyFolder(folder.path.with_name("beta"))
    other.path.mkdir()
    other.config_file.write_text(folder.config_file.read_text().replace("alpha", "beta"))
    with pytest.raises(StudyNotFoundError, match="Several studies are in that database: alpha, beta"):
        find_study("postgresql://host/db")


def test_passwords_are_starred_out():
    shown = without_password("storage: postgresql+psycopg://me:s3cr:t@db:5432/x\nprompts: a@b")
    assert shown == "storage: postgresql+psycopg://me:***@db:5432/x\nprompts: a@b"
    assert without_password("sqlite:////tmp/study.db") == "sqlite:////tmp/study.db"


def test_a_study_that_is_not_there_names_the_nearest_or_all(folder):
    with pytest.raises(StudyNotFoundError, match="did you mean 'alpha'"):
        find_study("alhpa")
    with pytest.raises(StudyNotFoundError) as caught:
        find_study("postgresql://me:secret@db/studies")
    assert "postgresql://me:***@db/studies" in str(caught.value)
    assert "secret" not in str(caught.value)
    with pytest.raises(StudyNotFoundError, match="there are: alpha"):
        find_study("zzz")
    with pytest.raises(StudyNotFoundError, match="there are: alpha"):
        find_study("sqlite:///elsewhere.db")


def test_what_to_type_is_the_name_only_where_the_name_is_enough(folder, tmp_path):
    assert find_study("alpha").handle == "alpha"
    assert StudyFolder(tmp_path / "elsewhere").handle == str(tmp_path / "elsewhere")


def test_records_come_back_in_order_with_the_latest_state(folder):
    for index, status in ((1, "running"), (0, "running"), (1, "failed")):
        write_record(folder, TrialRecord(index=index, status=status, **ARM))
    assert [(record.index, record.status) for record in folder.records()] == [(0, "running"), (1, "failed")]
    # Another process sees the same.
    assert StudyFolder(folder.path).records() == folder.records()


def test_the_curve_of_a_completed_trial_is_that_of_its_result(folder):
    record = add_trial(folder, 0, "completed")
    trial, spec = folder.trial(0), TrialSpec(weights=record.weights)
    job = Job.of("module:function", [spec])
    trial.prepare(job)
    curve = [CurvePoint(step=0, mean=1.0, sem=0.1, kl=0.0, kl_k3=0.0, entropy=1.0, length=5.0, distinct_2=1.0)]
    trial.write_results(job.token, [closed_form.result_of(spec, 1.0).model_copy(update={"curve": curve})])
    # Its inner loop told of no point while it ran.
    assert trial.curve() == []
    assert folder.curves() == {0: curve}


def test_the_lock_admits_one_driver_and_says_who(folder):
    assert folder.driver() is None
    with folder.driver_lock():
        assert StudyFolder(folder.path).driver().startswith(f"process {os.getpid()} on ")
        with (
            pytest.raises(StudyLockedError, match=f"process {os.getpid()} on "),
            StudyFolder(folder.path).driver_lock(),
        ):
            pass
    assert folder.driver() is None
    with folder.driver_lock():
        pass


def test_studies_live_in_the_working_directory_by_default(monkeypatch, tmp_path):
    monkeypatch.delenv("BO_SHAPING_STUDIES")
    monkeypatch.chdir(tmp_path)
    Path("studies/beta").mkdir(parents=True)
    Path("studies/beta/config.yaml").write_text("name: beta")
    assert find_study("beta").path == tmp_path.resolve() / "studies" / "beta"
