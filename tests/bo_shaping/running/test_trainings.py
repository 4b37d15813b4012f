import json
import os
import signal
import subprocess
import sys
import time

import pytest

from bo_shaping.errors import StudyLockedError
from bo_shaping.running.trainings import run_trainings
from bo_shaping.storage.file_locks import try_hold
from bo_shaping.storage.trial_folder import Job
from inner_loop.spec import TrialSpec
from tests.bo_shaping.conftest import CLOSED_FORM, REPOSITORY


def jobs(function="run_trial", n=3):
    specs = [TrialSpec(weights={"shap": 0.5, "sparse": 0.5}, ppo={"steps": 2}, seed=seed) for seed in range(n)]
    return {f"seed-{spec.seed}": Job.of(f"{CLOSED_FORM}:{function}", [spec]) for spec in specs}


def means(folders):
    return {name: folder.results()[0].mean for name, folder in folders.items()}


@pytest.mark.parametrize("executor", ["inline", "process"])
def test_every_job_is_run_once_however_often_it_is_asked_for(make_config, tmp_path, executor):
    config, heard = make_config(executor=executor), []
    first = means(run_trainings(config, tmp_path / "t", jobs(), lambda *counts: heard.append(counts)))
    assert [first[f"seed-{seed}"] - first["seed-0"] for seed in range(3)] == pytest.approx([0.0, 0.01, 0.02])
    assert heard[-1] == (3, 3)
    written = (tmp_path / "t" / "seed-1" / "result.json").stat().st_mtime_ns
    assert means(run_trainings(config, tmp_path / "t", jobs(n=4))).keys() == jobs(n=4).keys()
    assert (tmp_path / "t" / "seed-1" / "result.json").stat().st_mtime_ns == written


def test_one_that_fails_costs_no_other_and_has_another_chance(make_config, tmp_path):
    config = make_config(executor="inline")
    mixed = jobs() | {"bad": jobs("always_fail", 1)["seed-0"]}
    folders = run_trainings(config, tmp_path / "t", mixed)
    assert "no <b>luck</b>" in folders["bad"].failure_reason()
    assert all(folders[name].has_result() for name in jobs())
    again = run_trainings(config, tmp_path / "t", mixed | {"bad": jobs(n=1)["seed-0"]})
    assert again["bad"].has_result()


def test_a_worker_that_dies_each_time_is_a_failure_with_its_reason(make_config, tmp_path):
    config = make_config(executor="process", workers={"retries": 1})
    folders = run_trainings(config, tmp_path / "t", jobs("die", 1))
    assert folders["seed-0"].failure_reason().startswith("tried 2 times: the worker ended without a result")


def test_nobody_else_trains_there(make_config, tmp_path):
    (tmp_path / "t").mkdir()
    with (tmp_path / "t" / "trainings.lock").open("ab") as lock:
        assert try_hold(lock)
        with pytest.raises(StudyLockedError, match="Another process runs the trainings in"):
            run_trainings(make_config(executor="inline"), tmp_path / "t", jobs())


def test_a_driver_that_was_killed_is_taken_over_where_it_was(make_config, tmp_path, monkeypatch):
    log = tmp_path / "log"
    monkeypatch.setenv("CLOSED_FORM_LOG", str(log))
    (tmp_path / "hold").touch()
    config = make_config(executor="process")
    (tmp_path / "config.json").write_text(config.model_dump_json())
    code = (
        "import sys; from pathlib import Path; from bo_shaping import StudyConfig;"
        "from bo_shaping.running.trainings import run_trainings;"
        "from tests.bo_shaping.running.test_trainings import jobs;"
        "config = StudyConfig.model_validate_json(Path(sys.argv[1]).read_text());"
        "run_trainings(config, Path(sys.argv[2]), jobs('run_slowly', 2))"
    )
    driver = subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path / "config.json"), str(tmp_path / "t")], cwd=REPOSITORY
    )
    while not log.exists() or len(log.read_text().splitlines()) < 2:
        assert driver.poll() is None
        time.sleep(0.05)
    os.kill(driver.pid, signal.SIGKILL)
    driver.wait()
    (tmp_path / "hold").unlink()
    folders = run_trainings(config, tmp_path / "t", jobs("run_slowly", 2))
    assert all(folder.has_result() for folder in folders.values())
    # Their workers outlived the driver: neither was started again.
    assert len(log.read_text().splitlines()) == 2


def test_a_policy_is_kept_only_by_loops_that_can(make_config, tmp_path):
    [(name, job)] = jobs(n=1).items()
    keeping = Job.of(job.inner_loop, job.specs, keeps_policy=True)
    assert keeping.token != job.token
    folders = run_trainings(make_config(executor="inline"), tmp_path / "t", {name: keeping})
    assert "has no parameter save_policy, so no policy can be kept" in folders[name].failure_reason()
    written = json.loads((tmp_path / "t" / name / "spec.json").read_text())
    assert written["keeps_policy"] is True
