"""What the real libraries hold afterwards, read back with their own readers. All of it offline."""

import sys

import pytest

from bo_shaping import Study
from bo_shaping.tracking.lines import lines_of, missing
from tests.bo_shaping import closed_form

TRIALS = 4


@pytest.fixture
def trackio_storage(tmp_path, monkeypatch):
    """Trackio's database in an empty folder."""
    pytest.importorskip("trackio", reason="needs the wheel trackio (extra trackers)")
    from trackio import sqlite_storage

    for name, module in list(sys.modules.items()):
        if name.startswith("trackio") and hasattr(module, "TRACKIO_DIR"):
            monkeypatch.setattr(module, "TRACKIO_DIR", tmp_path / "trackio")
    return sqlite_storage.SQLiteStorage


def _scalars(folder):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    reader = EventAccumulator(str(folder), size_guidance={"scalars": 0, "tensors": 0})
    reader.Reload()
    scalars = {tag: [(e.step, round(e.value, 5)) for e in reader.Scalars(tag)] for tag in reader.Tags()["scalars"]}
    texts = {
        tag: [e.tensor_proto.string_val[0].decode() for e in reader.Tensors(tag)] for tag in reader.Tags()["tensors"]
    }
    return scalars, texts, reader


def _study(make_config, *, function="climb_and_explain", name="closed", **settings):
    return make_config(function, name=name, budget={"trials": TRIALS}, **settings)


def test_tensorboard_holds_every_number_of_every_trial(make_config):
    pytest.importorskip("tensorboard", reason="needs the wheel tensorboard (extra trackers)")
    study = Study.launch(_study(make_config, tracking="tensorboard"))
    study.run()
    runs = study.path / "tracking" / "tensorboard"
    assert sorted(path.name for path in runs.iterdir()) == [f"trial-{i:04d}" for i in range(TRIALS)]
    for index, (result,) in study.results().items():
        scalars, texts, reader = _scalars(runs / f"trial-{index:04d}")
        assert scalars["validation/mean"] == [(p.step, pytest.approx(p.mean, abs=1e-4)) for p in result.curve]
        assert scalars["validation/sem"] == [(p.step, pytest.approx(p.sem)) for p in result.curve]
        assert scalars["validation/kl"] == [(p.step, pytest.approx(p.kl, abs=1e-4)) for p in result.curve]
        assert scalars["update/policy_loss"] == [
            (i + 1, pytest.approx(s.policy_loss)) for i, s in enumerate(result.steps)
        ]
        record = study.trial(index)
        assert scalars["end/reward"] == [(1, pytest.approx(record.mean, abs=1e-4))]
        assert texts["end/status/text_summary"] == ["completed"]
        assert "&#60;b&#62;fine" in texts["credit/tokens/text_summary"][0]  # the model's markup is text
        assert "| fine | +0.500 | +0.500 | +0.500 | +0.750 |" in texts["credit/tokens/text_summary"][0]
        parameters = reader.summary_metadata["_hparams_/session_start_info"].plugin_data.content
        assert b"w_shap" in parameters
        assert b"gae_lambda" in parameters


def test_trackio_holds_every_number_and_traces(make_config, trackio_storage):
    study = Study.launch(_study(make_config, tracking=["trackio"]))
    study.run()
    for index, (result,) in study.results().items():
        name = f"trial-{index:04d}"
        rows = trackio_storage.get_logs("closed", name)
        curve = [(row["step"], row["validation/mean"]) for row in rows if "validation/mean" in row]
        assert curve == [(p.step, pytest.approx(p.mean)) for p in result.curve]
        assert [row["end/reward"] for row in rows if "end/reward" in row] == [pytest.approx(study.trial(index).mean)]
        (trace,) = trackio_storage.get_traces("closed", name)
        assert [message["content"] for message in trace["messages"]] == ["a film", "<b>fine"]
        assert trace["metadata"]["rewards"] == result.samples[0].rewards
        config = trackio_storage.get_run_config("closed", name)
        assert config["w_shap"] == study.trial(index).weights["shap"]
        assert config["_Group"] == "closed"


def test_a_resumed_study_goes_on_with_the_runs_and_repeats_nothing(make_config, trackio_storage):
    pytest.importorskip("tensorboard", reason="needs the wheel tensorboard (extra trackers)")
    study = Study.launch(_study(make_config, tracking=["tensorboard", "trackio"]))
    study.run(2)
    # As after a driver that was killed: nobody knows that the trackers have it all.
    for name in ("tensorboard", "trackio"):
        told = study.path / "tracking" / f"{name}.json"
        told.write_text(told.read_text().replace('"completed"', "null"))
    study = Study.load("closed")
    study.run(1)
    for index in range(3):
        scalars, texts, _ = _scalars(study.path / "tracking" / "tensorboard" / f"trial-{index:04d}")
        assert [step for step, _ in scalars["validation/mean"]] == [0, 1, 2]
        assert len(scalars["end/reward"]) == len(texts["end/status/text_summary"]) == 1
        rows = trackio_storage.get_logs("closed", f"trial-{index:04d}")
        assert [row["step"] for row in rows if "validation/mean" in row] == [0, 1, 2]
        assert sum("end/reward" in row for row in rows) == 1


def test_a_run_that_was_cut_gets_the_rest(make_config, trackio_storage):
    pytest.importorskip("tensorboard", reason="needs the wheel tensorboard (extra trackers)")
    from bo_shaping.tracking.lines import run_config
    from bo_shaping.tracking.making import make_tracker
    from bo_shaping.tracking.tracker import RunHead

    study = Study.launch(_study(make_config))
    study.run(1)
    trial = study.folder.trial(0)
    lines = lines_of(study.folder.journal.entries()[0], trial.events(), trial.results())
    head = RunHead("cut", "trial-0000", "key", run_config(study.config, study.trial(0)))
    for name in ("tensorboard", "trackio"):
        tracker = make_tracker(name, study.path / "tracking", {})
        run = tracker.open(head)
        for line in lines[:5]:
            run.write(line)
        run.close()
        again = tracker.open(head)
        rest = missing(lines, again.last_steps())
        assert rest == lines[5:]
        for line in rest:
            again.write(line)
        again.close()
        assert missing(lines, tracker.open(head).last_steps()) == []


def test_a_new_study_of_an_old_name_has_runs_of_its_own(make_config, trackio_storage):
    import shutil

    for _ in range(2):
        study = Study.launch(_study(make_config, tracking="trackio"))
        study.run(1)
        shutil.rmtree(study.path)
    rows = trackio_storage.get_logs("closed", "trial-0000")
    assert [row["step"] for row in rows if "validation/mean" in row] == [0, 1, 2]
    assert len({record["id"] for record in trackio_storage.get_run_records("closed")}) == 2


def test_a_told_trial_is_tracked(make_config):
    pytest.importorskip("tensorboard", reason="needs the wheel tensorboard (extra trackers)")
    study = Study.launch(_study(make_config, tracking="tensorboard"))
    index, _ = study.ask()
    study.tell(index, 0.75, kl=2.0)
    scalars, texts, _ = _scalars(study.path / "tracking" / "tensorboard" / "trial-0000")
    assert scalars["end/reward"] == [(1, 0.75)]
    assert scalars["end/kl"] == [(1, 2.0)]
    assert texts["end/status/text_summary"] == ["completed"]


def test_a_trial_that_failed_and_is_run_again_has_both_endings(make_config, monkeypatch):
    pytest.importorskip("tensorboard", reason="needs the wheel tensorboard (extra trackers)")
    study = Study.launch(_study(make_config, function="fail_without_sparse", tracking="tensorboard"))
    study.run()
    failed = next(i for i in range(TRIALS) if study.trial(i).status == "failed")
    _, texts, _ = _scalars(study.path / "tracking" / "tensorboard" / f"trial-{failed:04d}")
    assert texts["end/status/text_summary"] == ["failed"]
    assert texts["end/reason/text_summary"] == [study.trial(failed).reason]
    study.retry(failed)
    monkeypatch.setattr(closed_form, "fail_without_sparse", closed_form.run_trial)
    Study.load("closed").run(0)
    _, texts, _ = _scalars(study.path / "tracking" / "tensorboard" / f"trial-{failed:04d}")
    assert texts["end/status/text_summary"] == ["failed", "completed"]
