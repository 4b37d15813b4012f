import io
import json
import os
import signal
import subprocess
import sys
import time

import pytest

from bo_shaping import Study
from bo_shaping.cli.terms import PipeConsole
from bo_shaping.errors import StudyLockedError
from bo_shaping.storage.study_folder import StudyFolder
from bo_shaping.views.live import live_view
from tests.bo_shaping import closed_form
from tests.bo_shaping.bare_study import add_trial, bare_study


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
        (
            ("launch", "YAML", "--set", "storage=nonsense"),
            "storage: this is not the URL of a database; write sqlite:///FILE.db",
        ),
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


@pytest.fixture
def slow_driver(make_config, tmp_path, studies):
    """Starts a driver whose two trials do not end by themselves; returns once both are running."""
    log = tmp_path / "starts.log"
    log.with_name("hold").write_text("")
    path = tmp_path / "slow.yaml"
    path.write_text(make_config("run_slowly", executor="process", budget={"trials": 2, "replicate_last": 0}).to_yaml())
    drivers = []

    def start(before):
        command = [sys.executable, "-m", "bo_shaping.cli", "launch", str(path)]
        environment = os.environ | {"CLOSED_FORM_LOG": str(log)}
        driver = subprocess.Popen(
            command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, preexec_fn=before
        )
        drivers.append(driver)
        folder = StudyFolder(studies / "closed")
        deadline = time.monotonic() + 300
        while folder.trial(0).last_event() is None or folder.trial(1).last_event() is None:
            assert time.monotonic() < deadline, driver.communicate()
            time.sleep(0.05)
        return driver, folder

    yield start
    log.with_name("hold").unlink()
    for driver in drivers:
        driver.kill()
        driver.communicate()


def heed_interrupts():
    """As a shell has it for what is started in the foreground, however the tests were started."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def ignore_interrupts():
    """As a shell does for what a script starts in the background."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


@pytest.mark.parametrize(
    ("signal_number", "before"),
    [(signal.SIGINT, heed_interrupts), (signal.SIGTERM, ignore_interrupts)],
    ids=["Ctrl-C", "kill in the background"],
)
def test_a_driver_that_is_interrupted_stops_its_workers_and_names_the_command(slow_driver, signal_number, before):
    driver, folder = slow_driver(before)
    driver.send_signal(signal_number)
    _, err = driver.communicate(timeout=300)
    assert driver.returncode == 130
    assert "continue with: bo-shaping resume closed" in err
    assert not folder.trial(0).is_locked()
    assert not folder.trial(1).is_locked()
    study = Study.load("closed")
    assert [trial.status.name for trial in study.ax_client._experiment.trials.values()] == ["RUNNING"] * 2


def test_a_study_without_a_single_result_is_exit_code_4(bo_shaping, make_config, tmp_path):
    path = tmp_path / "study.yaml"
    path.write_text(make_config("always_fail", budget={"trials": 2}).to_yaml())
    code, out, err = bo_shaping("launch", path)
    assert code == 4
    assert "trial 1 failed" in out
    assert "see why with: bo-shaping trials closed" in err


def test_a_study_can_be_created_without_running_it(bo_shaping, yaml_file, studies):
    code, out, _ = bo_shaping("launch", yaml_file, "--no-run")
    assert code == 0
    assert "get its first trial with: bo-shaping ask closed" in " ".join(out.split())
    assert len(Study.load("closed").trials()) == 0


def test_a_study_goes_on_when_nobody_reads_what_it_prints(studies):
    class Closed(io.StringIO):
        def write(self, text):
            raise BrokenPipeError

    folder = bare_study(studies / "toy")
    console = PipeConsole(file=Closed())
    with live_view(folder, 2, console) as on_change:
        for index in range(2):
            add_trial(folder, index, "completed")
            on_change()
    with pytest.raises(BrokenPipeError):
        console.print("the end")


def test_stop_ends_a_driver_and_its_workers_and_waits_for_it(slow_driver, bo_shaping):
    driver, folder = slow_driver(ignore_interrupts)
    code, out, _ = bo_shaping("stop", "closed")
    assert code == 0
    assert f"Asked process {driver.pid} on" in out
    assert "Stopped; continue with: bo-shaping resume closed" in out
    assert folder.driver() is None
    _, err = driver.communicate(timeout=300)
    assert driver.returncode == 130
    assert "Stopped; continue with: bo-shaping resume closed" in err
    assert not folder.trial(0).is_locked()
    assert bo_shaping("stop", "closed")[:2] == (0, "Nobody is driving closed.\n")


def test_a_failed_trial_is_run_again_with_the_same_arm(bo_shaping, make_config, tmp_path, monkeypatch):
    path = tmp_path / "study.yaml"
    path.write_text(make_config("fail_without_sparse", budget={"trials": 2}).to_yaml())
    bo_shaping("launch", path)
    arm = Study.load("closed").trial(1).weights
    code, _, err = bo_shaping("retry", "closed", 0)
    assert code == 2
    assert "Trial 0 is completed; only a failed trial can be run again." in err
    assert bo_shaping("retry", "closed", 5)[0] == 2
    code, out, _ = bo_shaping("retry", "closed", 1)
    assert (code, out) == (0, "Trial 1 is run again by: bo-shaping resume closed\n")
    monkeypatch.setattr(closed_form, "fail_without_sparse", closed_form.run_trial)
    code, out, _ = bo_shaping("resume", "closed", "--trials", 0)
    assert code == 0
    trial = Study.load("closed").trial(1)
    assert (trial.status, trial.weights) == ("completed", arm)


def test_a_changed_configuration_is_refused_until_it_is_allowed(bo_shaping, yaml_file, make_config):
    bo_shaping("launch", yaml_file, "--trials", 1)
    code, _, err = bo_shaping("resume", "closed", "--trials", 1, "--set", "ppo.steps=3")
    assert code == 2
    assert "ppo.steps was 2 and is 3" in err
    assert "--allow-change" in err
    assert Study.load("closed").config.ppo.steps == 2
    assert bo_shaping("resume", "closed", "--trials", 1, "--set", "ppo.steps=3", "--allow-change")[0] == 0
    assert Study.load("closed").config.ppo.steps == 3
    # More budget needs no permission; the file need not name the study.
    yaml_file.write_text(make_config(name="other", ppo={"steps": 3}, budget={"trials": 3}).to_yaml())
    code, out, _ = bo_shaping("resume", "closed", "--config", yaml_file)
    assert code == 0
    assert "trial 2 completed" in out


def test_settings_of_a_study_whose_folder_was_renamed_can_change(bo_shaping, yaml_file, studies):
    bo_shaping("launch", yaml_file, "--trials", 1)
    (studies / "closed").rename(studies / "renamed")
    code, out, _ = bo_shaping("resume", "renamed", "--set", "budget.trials=2")
    assert code == 0
    assert "trial 1 completed" in out
    renamed = Study.load("renamed")
    assert (renamed.name, renamed.config.budget.trials) == ("closed", 2)


def test_a_study_in_which_too_much_fails_waits_for_a_person(bo_shaping, make_config, tmp_path):
    path = tmp_path / "study.yaml"
    path.write_text(make_config("always_fail", budget={"trials": 9}).to_yaml())
    code, _, err = bo_shaping("launch", path)
    assert code == 4
    assert "5 of 5 trials of this run failed" in err
    assert "bo-shaping logs closed TRIAL" in err


def test_a_study_with_a_number_for_a_name_says_that_it_knows_enough(bo_shaping, yaml_file):
    enough = ("--set", "budget.stop_when_regret_below=100")
    code, out, _ = bo_shaping("launch", yaml_file, "--name", "2024", *enough)
    assert code == 0
    assert "The study knows enough (budget.stop_when_regret_below): the expected regret of the recommendation is" in out
    code, out, _ = bo_shaping("resume", "2024", "--set", "budget.trials=20")
    assert code == 0
    assert "The study knows enough" in out
    assert len(Study.load("2024").trials()) == 7
