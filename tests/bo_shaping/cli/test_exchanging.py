import json

import pytest
from ax.api.client import Client

from bo_shaping import Study
from inner_loop import ShapingFunction
from tests.bo_shaping import closed_form


@pytest.fixture
def empty(make_config):
    return Study.launch(make_config(budget={"trials": 6}))


def test_somebody_elses_inner_loop_is_driven_by_ask_and_tell(bo_shaping, empty):
    for expected in range(4):
        code, out, _ = bo_shaping("ask", "closed", "--json")
        asked = json.loads(out)
        assert (code, asked["index"], set(asked)) == (0, expected, {"index", "weights", "parameters", "seeds"})
        reward = closed_form.reward(asked["weights"], asked["parameters"]["gae_lambda"])
        code, out, _ = bo_shaping("tell", "closed", expected, reward, "--kl", 4)
        assert code == 0
        assert f"Trial {expected} is completed; get the next one with: bo-shaping ask closed" in out
    records = Study.load("closed").folder.records()
    assert [record.status for record in records] == ["completed"] * 4
    # Pure sparse has a negative reward, which is an argument and no option.
    assert records[0].mean == pytest.approx(closed_form.reward({"sparse": 1.0}, records[0].parameters["gae_lambda"]))
    assert records[0].mean < 0
    assert bo_shaping("best", "closed")[0] == 0


def test_what_was_asked_is_said_in_words_and_waits(bo_shaping, empty):
    code, out, _ = bo_shaping("ask", "closed")
    assert code == 0
    assert out.startswith("trial 0: shap 0.00 lime 0.00 sparse 1.00, gae_lambda")
    assert "Hand its validation reward over with: bo-shaping tell closed 0 REWARD --kl KL" in out
    assert "closed: 1 asked, budget 6; nobody is driving it" in bo_shaping("status", "closed")[1]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((7, 1.0, "--kl", 1), "no trial 7"),
        ((0, "nan", "--kl", 1), "finite"),
        ((0, "-inf", "--kl", 1), "finite"),
        ((0, "high", "--kl", 1), "REWARD"),
        ((0, 1.0), "kl"),
        ((0, 1.0, "--kl", 1, "--sem", -1), "sem must be >= 0"),
        ((0, 1.0, "--kl", 1, "--measure", "length"), "A measure looks like length=20, got 'length'."),
        ((0, 1.0, "--kl", 1, "--smm", 2), "--smm"),
    ],
)
def test_what_cannot_be_used_is_refused_and_the_trial_goes_on_waiting(bo_shaping, empty, arguments, message):
    bo_shaping("ask", "closed")
    code, out, err = bo_shaping("tell", "closed", *arguments)
    assert code == 2
    assert message in err
    assert "Traceback" not in out + err
    assert [record.status for record in empty.folder.records()] == ["asked"]


def test_measures_that_the_study_limits_can_be_told(bo_shaping, make_config):
    Study.launch(make_config(objective={"constraints": ["length >= 10"]}))
    bo_shaping("ask", "closed")
    assert bo_shaping("tell", "closed", 0, 1.5, "--kl", 2)[0] == 2
    assert bo_shaping("tell", "closed", 0, 1.5, "--kl", 2, "--measure", "length=12.5")[0] == 0
    assert Study.load("closed").trial(0).measures == {"length": 12.5}


def test_a_trial_that_will_never_be_told_is_given_up(bo_shaping, empty):
    bo_shaping("ask", "closed")
    for wrong in ((), (1.0, "--failed", "no GPU"), ("--kl", 2, "--failed", "no GPU")):
        assert bo_shaping("tell", "closed", 0, *wrong)[0] == 2
    assert empty.folder.records()[0].status == "asked"
    code, out, _ = bo_shaping("tell", "closed", 0, "--failed", "no GPU")
    assert (code, out) == (0, "Trial 0 is failed; get the next one with: bo-shaping ask closed\n")
    study = Study.load("closed")
    assert (study.trial(0).status, study.trial(0).reason) == ("failed", "no GPU")
    assert study.ax_client._experiment.trials[0].status.is_failed
    # It is as every other trial that failed: told no more, unless it is retried.
    code, _, err = bo_shaping("tell", "closed", 0, "--failed", "no GPU")
    assert code == 2
    assert "Trial 0 has failed" in err
    code, out, _ = bo_shaping("retry", "closed", 0)
    assert (code, out) == (
        0,
        "Trial 0 waits again; hand its result over with: bo-shaping tell closed 0 REWARD --kl KL\n",
    )
    study.run(0)
    assert study.trial(0).status == "asked"
    assert bo_shaping("tell", "closed", 0, 1.0, "--kl", 2.0)[0] == 0
    assert study.trial(0).status == "completed"


def test_the_best_of_a_study_without_kl_is_printed_without_it(bo_shaping, make_config):
    study = Study.launch(make_config(objective={"max_kl": None}))
    for _ in range(3):
        index, arm = study.ask()
        study.tell(index, arm["shap"])
    code, out, err = bo_shaping("best", "closed")
    assert (code, err) == (0, "")
    assert "expected validation reward" in out
    assert "KL" not in out


def test_ask_and_tell_leave_a_study_that_is_driven_alone(bo_shaping, empty):
    with empty.folder.driver_lock():
        assert bo_shaping("ask", "closed")[0] == 3
        assert bo_shaping("tell", "closed", 0, 1.0, "--kl", 1)[0] == 3


def test_the_exported_experiment_loads_in_plain_ax(bo_shaping, finished, tmp_path):
    target = tmp_path / "ax.json"
    # The snapshot in the folder is written now and then: an export is made anew.
    finished.folder.snapshot_file.unlink()
    code, out, _ = bo_shaping("export", "closed", "--format", "ax-json", "-o", target)
    assert (code, out.strip()) == (0, str(target))
    experiment = Client.load_from_json_file(str(target))._experiment
    rewards = experiment.lookup_data().df.query("metric_name == 'reward'").sort_values("trial_index")["mean"]
    assert rewards.tolist() == pytest.approx(finished.trials()["mean"].tolist(), abs=1e-8)


def test_the_learned_shaping_is_exported_to_a_folder(bo_shaping, finished, tmp_path):
    code, out, _ = bo_shaping("export", "closed", "--format", "shaping", "-o", tmp_path / "learned")
    assert code == 0
    assert out == f"{tmp_path / 'learned'}: read it with ShapingFunction.load, or upload it to a hub as it is\n"
    assert ShapingFunction.load(tmp_path / "learned") == finished.shaping_function()
    assert "--output FOLDER" in bo_shaping("export", "closed", "--format", "shaping")[2]
    code, _, err = bo_shaping("export", "closed", "--format", "shaping", "-o", tmp_path / "learned.json")
    assert (code, "name a folder" in err) == (2, True)


def test_a_table_goes_to_the_screen_or_to_a_file(bo_shaping, finished, tmp_path):
    code, out, _ = bo_shaping("export", "closed")
    assert code == 0
    assert len(out.splitlines()) == 11
    bo_shaping("export", "closed", "-o", tmp_path / "trials.csv")
    assert (tmp_path / "trials.csv").read_text() == out
    assert bo_shaping("export", "closed", "--format", "xml")[0] == 2


def test_resuming_for_no_trial_is_no_failure_where_none_was_completed(bo_shaping, empty):
    bo_shaping("ask", "closed")
    code, out, _ = bo_shaping("resume", "closed", "--trials", 0)
    assert code == 0
    assert "has 0 completed trials" in out


def test_responses_go_with_the_one_file_and_with_no_other(bo_shaping, make_config, tmp_path):
    Study.launch(make_config("climb_and_explain", budget={"trials": 1})).run()
    code, _, err = bo_shaping("export", "closed", "--format", "csv", "--responses")
    assert code == 2
    assert "--responses is for --format ax-json" in err
    file = tmp_path / "whole.json"
    assert bo_shaping("export", "closed", "--format", "ax-json", "--responses", "-o", file)[0] == 0
    assert '"tokens"' in file.read_text()
