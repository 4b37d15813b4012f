"""Nothing of a tracker costs a trial or stops a study, whatever it does."""

import json
import threading
import warnings

import pytest

from bo_shaping import Study
from bo_shaping.config import StudyConfig
from bo_shaping.errors import ConfigError
from bo_shaping.tracking import TrackingWarning, feed, follower
from tests.bo_shaping.tracking.recorder import Recorder

TRIALS = 4


@pytest.fixture
def recorder(monkeypatch) -> Recorder:
    """Stands for a tracker called wandb, which is not installed here."""
    recorder = Recorder()
    monkeypatch.setattr(follower, "make_tracker", lambda *_: recorder)
    monkeypatch.setattr(feed, "refuse_missing_packages", lambda _: None)
    monkeypatch.setattr("bo_shaping.study.refuse_missing_packages", lambda _: None)
    return recorder


def _config(make_config, **settings):
    return make_config("climb", budget={"trials": TRIALS}, tracking="wandb", **settings)


def _run(study, n_trials=None):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        study.run(n_trials)
    return [str(w.message) for w in caught if w.category is TrackingWarning]


def test_every_line_is_written_once(make_config, recorder):
    study = Study.launch(_config(make_config))
    assert _run(study) == []
    for index in range(TRIALS):
        lines = recorder.lines[f"trial-{index:04d}"]
        assert [line.step for line in lines if line.group == "validation"] == [0, 1, 2]
        assert [line.texts for line in lines if line.group == "end"] == [{"status": "completed"}]
    assert recorder.open_now == 0


def test_running_trials_are_written_while_they_run(make_config, recorder, monkeypatch, tmp_path):
    monkeypatch.setenv("CLOSED_FORM_LOG", str(tmp_path / "log"))
    monkeypatch.setattr(follower, "LOOK_SECONDS", 0.02)
    (tmp_path / "hold").touch()
    study = Study.launch(make_config("hold_after_a_point", budget={"trials": 2}, tracking="wandb"))
    thread = threading.Thread(target=study.run)
    thread.start()
    try:
        assert recorder.has_line.wait(60)
        assert recorder.open_now == 1
        assert "end" not in {line.group for line in recorder.lines["trial-0000"]}
    finally:
        (tmp_path / "hold").unlink()
        thread.join()
    assert [line.step for line in recorder.lines["trial-0000"] if line.group == "validation"] == [0, 1, 2]


@pytest.mark.parametrize("where", ["open", "write", "flush", "close"])
def test_an_error_of_a_tracker_is_one_warning_and_the_study_goes_on(make_config, recorder, where):
    recorder.breaks = where
    study = Study.launch(_config(make_config))
    (message,) = _run(study)
    assert "wandb" in message
    assert "no network" in message
    assert "bo-shaping resume closed" in message
    assert [record.status for record in study.folder.records()] == ["completed"] * TRIALS


def test_what_a_broken_tracker_lacks_follows_when_the_study_is_resumed(make_config, recorder):
    recorder.breaks = "write"
    study = Study.launch(_config(make_config))
    _run(study)
    assert recorder.lines == {}
    recorder.breaks = None
    assert _run(Study.load("closed"), 0) == []
    for index in range(TRIALS):
        assert [line.step for line in recorder.lines[f"trial-{index:04d}"] if line.group == "validation"] == [0, 1, 2]


def test_a_tracker_that_hangs_does_not_hold_up_the_study(make_config, recorder, monkeypatch):
    monkeypatch.setattr(feed, "FLUSH_SECONDS", 0.2)
    recorder.hangs.clear()
    study = Study.launch(_config(make_config))
    (message,) = _run(study)
    recorder.hangs.set()
    assert "did not answer" in message
    assert [record.status for record in study.folder.records()] == ["completed"] * TRIALS


def test_a_killed_driver_repeats_no_line_of_a_tracker_that_cannot_be_read(make_config, recorder):
    study = Study.launch(_config(make_config))
    _run(study)
    told = study.path / "tracking" / "wandb.json"
    content = json.loads(told.read_text())
    # As after a kill between the last line of trial 1 and the note that it has all; trial 2 lacks its end.
    content["1"]["status"] = content["2"]["status"] = None
    del content["2"]["last_steps"]["end"]
    told.write_text(json.dumps(content))
    before = {name: list(lines) for name, lines in recorder.lines.items()}
    _run(Study.load("closed"), 0)
    added = {name: lines[len(before[name]) :] for name, lines in recorder.lines.items()}
    assert {name: [line.group for line in lines] for name, lines in added.items() if lines} == {"trial-0002": ["end"]}
    assert recorder.keys["trial-0002"][0] == recorder.keys["trial-0002"][1]
    assert len(recorder.keys["trial-0001"]) == 1


def test_a_tracker_of_one_run_at_a_time_gets_whole_trials(make_config, recorder):
    recorder.is_live = False
    _run(Study.launch(_config(make_config)))
    assert recorder.most_open == 1
    assert len(recorder.lines) == TRIALS


def test_a_damaged_note_of_what_was_told_stops_nothing(make_config, recorder):
    study = Study.launch(_config(make_config))
    _run(study, 1)
    (study.path / "tracking" / "wandb.json").write_text('{"0": {')
    assert _run(Study.load("closed"), 1) == []
    assert len(study.folder.records()) == 2


def test_a_study_that_had_no_tracker_may_get_one(make_config, recorder):
    study = Study.launch(make_config("climb", budget={"trials": 2}))
    study.run()
    _run(Study.load("closed", _config(make_config)), 1)
    assert sorted(recorder.lines) == [f"trial-{index:04d}" for index in range(3)]


def test_a_tracker_that_is_not_installed_is_refused_at_launch(make_config, studies, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ConfigError, match=r"tracking: comet_ml needs the package comet-ml.* pip install comet-ml"):
        Study.launch(make_config(tracking="comet_ml"))
    assert not (studies / "closed").exists()


def test_a_tracker_that_is_gone_later_is_a_warning(make_config, monkeypatch):
    Study.launch(make_config("climb", budget={"trials": 2}))
    monkeypatch.setattr("bo_shaping.config.trackers.importlib.util.find_spec", lambda name: None)
    (message,) = _run(Study.load("closed", make_config("climb", budget={"trials": 2}, tracking="aim")))
    assert "pip install aim" in message


def test_the_command_says_it_in_one_line(make_config, recorder, bo_shaping, tmp_path):
    recorder.breaks = "write"
    config = tmp_path / "closed.yaml"
    config.write_text(_config(make_config).to_yaml())
    code, _, err = bo_shaping("launch", config)
    assert code == 0
    (note,) = [line for line in err.splitlines() if "wandb" in line]
    assert note.startswith("Note: The tracker wandb does not get all of the study")


def test_trackers_are_written_in_three_ways():
    for written, read in (
        ("tensorboard", {"tensorboard": {}}),
        (["tensorboard", "mlflow"], {"tensorboard": {}, "mlflow": {}}),
        ({"wandb": {"entity": "us"}, "trackio": None}, {"wandb": {"entity": "us"}, "trackio": {}}),
        (None, {}),
    ):
        assert StudyConfig(name="a", tracking=written).tracking == read
    config = StudyConfig(name="a", tracking={"wandb": {"entity": "us"}})
    assert StudyConfig.from_data({"name": "a"}, ["tracking={wandb: {entity: us}}"], "x") == config


@pytest.mark.parametrize(
    ("tracking", "message"),
    [("tensorbord", "did you mean 'tensorboard'"), (3, "a list of them"), ({"wandb": {"a": [1]}}, "tracking")],
)
def test_what_is_no_tracker_is_refused(tracking, message):
    with pytest.raises(ConfigError, match=message):
        StudyConfig.from_data({"name": "a", "tracking": tracking}, (), "study.yaml")
