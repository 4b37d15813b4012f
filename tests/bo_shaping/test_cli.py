import json
import os
import subprocess
import sys
import time

import pytest

from bo_shaping import Study
from bo_shaping.config import StudyConfig
from bo_shaping.errors import StudyLockedError
from bo_shaping.store import StudyFolder, TrialRecord


@pytest.fixture
def yaml_file(tmp_path, make_config):
    path = tmp_path / "study.yaml"
    path.write_text(make_config().to_yaml())
    return path


def test_launch_status_best_and_resume_tell_one_story(bo_shaping, yaml_file, studies):
    code, out, _ = bo_shaping("launch", yaml_file, "--name", "cli", "--trials", 3, "--set", "ppo.steps=1")
    assert code == 0
    assert "trial 2 completed: shap 0.00 lime 1.00 sparse 0.00, gae_lambda 0.95; reward" in out
    assert "probability of being better than: shap" in out

    code, out, _ = bo_shaping("resume", "cli", "--trials", 1)
    assert code == 0
    assert "trial 3 completed" in out
    assert "trial 2" not in out.replace("nearest is trial 2", "")

    code, out, _ = bo_shaping("status", "cli", "--json")
    status = json.loads(out)
    assert (code, status["name"], status["budget"], status["driver"]) == (0, "cli", 3, None)
    assert status["storage"] == f"sqlite:///{studies.resolve() / 'cli' / 'study.db'}"
    assert [trial["status"] for trial in status["trials"]] == ["completed"] * 4
    assert {"index", "status", "weights", "parameters", "mean", "sem", "kl", "reason"} <= set(status["trials"][0])
    assert status["trials"][0]["weights"] == {"shap": 0.0, "lime": 0.0, "sparse": 1.0}

    code, out, _ = bo_shaping("best", "cli", "--json")
    best = json.loads(out)
    assert {"weights", "interval", "mean", "prob_better_than_sparse", "n_trials"} <= set(best)
    assert best["n_trials"] == 4
    assert set(best["weights"]) == {"shap", "lime", "sparse"}
    assert sum(best["weights"].values()) == pytest.approx(1.0)
    assert 0 <= best["prob_better_than_sparse"] <= 1

    code, out, _ = bo_shaping("resume", "cli")
    assert "All 4 trials of the budget are there; add more with --trials N." in out


def test_launching_an_existing_study_prints_the_resume_command(bo_shaping, yaml_file):
    bo_shaping("launch", yaml_file, "--trials", 1)
    code, _, err = bo_shaping("launch", yaml_file)
    assert code == 2
    assert err.strip().endswith("continue it with: bo-shaping resume closed")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("launch", "none.yaml"), "There is no config file none.yaml."),
        (("launch", "YAML", "--set", "ppo.stpes=3"), "ppo: unknown key 'stpes', did you mean 'steps'?"),
        (("launch", "YAML", "--set", "ppo.steps"), "A setting looks like ppo.steps=3, got 'ppo.steps'."),
        (("launch", "YAML", "--name", "../x"), "name: "),
        (("launch", "YAML", "--set", "inner_loop=nowhere:run"), "'nowhere:run' cannot be imported"),
        (
            ("launch", "YAML", "--set", "inner_loop=inner_loop.trial:run_trial", "--set", "task.policy=/no/model"),
            "/no/model",
        ),
        (("launch", "YAML", "--set", "storage=nonsense"), "storage is not an SQLAlchemy URL"),
        (("resume", "nothing"), "There is no study 'nothing'"),
        (("status", "nothing"), "There is no study 'nothing'"),
        (("best", "nothing"), "There is no study 'nothing'"),
        (("report", "nothing"), "There is no study 'nothing'"),
        (("resume", "nothing", "--trials", "few"), "--trials"),
        (("launch", "YAML", "--trials", "0"), "--trials"),
    ],
)
def test_bad_input_is_exit_code_2_and_one_clear_sentence(bo_shaping, yaml_file, studies, arguments, message):
    code, out, err = bo_shaping(*(str(yaml_file) if argument == "YAML" else argument for argument in arguments))
    assert code == 2
    assert message in err
    assert "Traceback" not in out + err
    if err.startswith("bo-shaping: "):
        assert len(err.strip().splitlines()) == 1
    assert not list(studies.glob("*/config.yaml"))


def test_a_second_driver_is_refused_at_once_and_told_who_drives(bo_shaping, finished):
    with finished.folder.driver_lock():
        code, _, err = bo_shaping("resume", "closed")
        assert code == 3
        assert f"is being driven by process {os.getpid()} on" in err
        with pytest.raises(StudyLockedError):
            finished.run(1)
        assert json.loads(bo_shaping("status", "closed", "--json")[1])["driver"].startswith(f"process {os.getpid()}")
    assert bo_shaping("resume", "closed", "--trials", 0)[0] == 0


def test_too_few_trials_for_a_recommendation_is_said(bo_shaping, yaml_file):
    code, out, _ = bo_shaping("launch", yaml_file, "--trials", 2)
    assert code == 0
    assert "has 2 completed trials; a recommendation needs at least 3" in out
    code, _, err = bo_shaping("best", "closed")
    assert code == 2
    assert "has 2 completed trials" in err


def test_a_corrupt_database_names_the_file_and_the_remedy_works(bo_shaping, yaml_file, studies):
    bo_shaping("launch", yaml_file, "--trials", 3)
    for file in (studies / "closed").glob("study.db*"):
        file.unlink()
    (studies / "closed" / "study.db").write_bytes(b"rubbish" * 1000)
    code, _, err = bo_shaping("resume", "closed")
    assert code == 2
    assert str(studies.resolve() / "closed" / "study.db") in err
    assert "bo-shaping resume closed --rebuild" in err
    code, out, _ = bo_shaping("resume", "closed", "--rebuild", "--trials", 1)
    assert code == 0
    assert "trial 3 completed" in out
    assert (studies / "closed" / "study.db.damaged").read_bytes().startswith(b"rubbish")


def test_a_failed_trial_shows_its_reason_as_it_is(bo_shaping, studies):
    folder = StudyFolder(studies / "odd")
    folder.path.mkdir(parents=True)
    folder.config_file.write_text(StudyConfig(name="odd").to_yaml())
    reason = "ValueError: [red]not markup[/red] [/] <b>"
    arm = {"weights": {"shap": 1.0, "lime": 0.0, "sparse": 0.0}, "parameters": {"gae_lambda": 0.9}}
    folder.write_record(TrialRecord(index=0, status="failed", reason=reason, **arm))
    folder.write_record(TrialRecord(index=1, status="running", **arm))
    code, out, _ = bo_shaping("status", "odd")
    assert code == 0
    assert "[red]not markup[/red]" in " ".join(out.split())
    assert "1 failed, 1 interrupted, budget 14; nobody is driving it" in out
    assert json.loads(bo_shaping("status", "odd", "--json")[1])["trials"][0]["reason"] == reason


def test_the_report_verb_prints_where_the_page_is(bo_shaping, yaml_file, tmp_path, monkeypatch):
    bo_shaping("launch", yaml_file, "--trials", 1)
    monkeypatch.setattr("bo_shaping.report.write_report", lambda study, folder: folder / f"{study.name}.html")
    assert bo_shaping("report", "closed", "-o", tmp_path)[1].strip() == str(tmp_path / "closed.html")
    assert json.loads(bo_shaping("report", "closed", "-o", tmp_path, "--json")[1]) == {
        "report": str(tmp_path / "closed.html")
    }


def test_reading_verbs_need_neither_ax_nor_torch(finished):
    finished.best()
    script = (
        "import sys\nfrom bo_shaping import cli\n"
        "for verb in ('status', 'best'):\n"
        "    sys.argv = ['bo-shaping', verb, 'closed', '--json']\n"
        "    try:\n        cli.main()\n    except SystemExit:\n        pass\n"
        "print([name for name in ('ax', 'torch', 'pandas', 'botorch') if name in sys.modules])\n"
    )
    output = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout
    assert output.splitlines()[-1] == "[]"


def test_importing_the_package_is_cheap():
    script = "import sys, bo_shaping; print([name for name in ('ax', 'torch', 'pandas') if name in sys.modules])"
    output = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout
    assert output.strip() == "[]"


def test_a_driver_that_is_interrupted_stops_its_workers_and_names_the_command(make_config, tmp_path, studies):
    path = tmp_path / "slow.yaml"
    path.write_text(make_config("run_slowly", executor="process", budget={"trials": 2}).to_yaml())
    log = tmp_path / "starts.log"
    log.with_name("hold").write_text("")
    environment = os.environ | {"CLOSED_FORM_LOG": str(log)}
    command = [sys.executable, "-m", "bo_shaping.cli", "launch", str(path)]
    driver = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    folder = StudyFolder(studies / "closed")
    deadline = time.monotonic() + 300
    while folder.trial(0).last_event() is None or folder.trial(1).last_event() is None:
        assert time.monotonic() < deadline, driver.communicate()
        time.sleep(0.05)
    driver.send_signal(2)
    _, err = driver.communicate(timeout=300)
    assert driver.returncode == 130
    assert "continue with: bo-shaping resume closed" in err
    assert not folder.trial(0).is_locked()
    assert not folder.trial(1).is_locked()
    study = Study.load("closed")
    assert [trial.status.name for trial in study.ax_client._experiment.trials.values()] == ["RUNNING"] * 2
