"""What wandb, MLflow and accelerate's other trackers hold afterwards, without a network, where they are installed.

They are no part of the extra `dev`: pip install wandb mlflow clearml comet-ml dvclive swanlab, whichever you use.
"""

import csv
import json
import struct
import zipfile

import pytest

from bo_shaping import Study
from bo_shaping.tracking import TrackingWarning, feed

TRIALS = 2
WHY = "needs the wheel {} (no part of the extra dev)"

# All of them write the same numbers, so what a run must hold is one table: the curve of a trial by step.
pytestmark = pytest.mark.filterwarnings(f"error::{TrackingWarning.__module__}.{TrackingWarning.__name__}")


@pytest.fixture
def tracked(make_config, tmp_path, monkeypatch):
    """Runs a study with a tracker, in a home and a working folder of its own; the curves by trial."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    # What they hold is asked here, not how long a study waits for them: on a busy machine ClearML takes longer.
    monkeypatch.setattr(feed, "FLUSH_SECONDS", 240.0)

    def run(name, module, **options):
        pytest.importorskip(module, reason=WHY.format(name))
        study = Study.launch(
            make_config("climb_and_explain", budget={"trials": TRIALS}, tracking={name: options or None})
        )
        study.run()
        told = json.loads((study.path / "tracking" / f"{name}.json").read_text())
        assert [each["status"] for each in told.values()] == ["completed"] * TRIALS
        return study

    return run


def curves_of(study):
    return {
        f"trial-{index:04d}": [(point.step, pytest.approx(point.mean)) for point in result.curve]
        for index, (result,) in study.results().items()
    }


def records_of(file):
    """The records of a `.wandb` file: the log format of LevelDB, blocks of 32 KiB behind a head of 7 bytes."""
    from wandb.proto.wandb_internal_pb2 import Record

    data, at, whole = file.read_bytes(), 7, b""
    while at + 7 <= len(data):
        left = 32768 - at % 32768
        if left < 7:
            at += left
            continue
        _, length, kind = struct.unpack("<IHB", data[at : at + 7])
        whole += data[at + 7 : at + 7 + length]
        at += 7 + length
        # A record may go on in the next block: full, first, middle, last.
        if kind in (1, 4):
            yield Record.FromString(whole)
            whole = b""


def test_wandb_holds_every_number_and_a_table_of_tokens(tracked, monkeypatch):
    monkeypatch.setenv("WANDB_MODE", "offline")
    study = tracked("wandb", "wandb")
    found = {}
    for file in study.path.glob("tracking/wandb/offline-run-*/run-*.wandb"):
        records = list(records_of(file))
        (run,) = [record.run for record in records if record.WhichOneof("record_type") == "run"][:1]
        assert (run.project, run.run_group) == ("closed", "closed")
        config = {item.key: json.loads(item.value_json) for item in run.config.update}
        index = int(config["trial"])
        assert config["w_shap"] == study.trial(index).weights["shap"]
        rows = [
            {".".join(item.nested_key) or item.key: json.loads(item.value_json) for item in record.history.item}
            for record in records
            if record.WhichOneof("record_type") == "history"
        ]
        found[run.display_name] = [
            (row["ppo_step"], row["validation/mean"]) for row in rows if "validation/mean" in row
        ]
        (table,) = file.parent.glob("files/media/table/credit/*.table.json")
        columns = json.loads(table.read_text())
        assert columns["columns"][0] == "token"
        assert [row[0] for row in columns["data"]] == study.results()[index][0].samples[0].tokens
    assert found == curves_of(study)


def test_mlflow_holds_every_number_and_the_credit(tracked, tmp_path, monkeypatch):
    address = f"sqlite:///{tmp_path / 'mlflow.db'}"
    study = tracked("mlflow", "mlflow", tracking_uri=address)
    from mlflow import MlflowClient

    client = MlflowClient(tracking_uri=address)
    experiment = client.get_experiment_by_name("closed").experiment_id
    runs = client.search_runs([experiment])
    found = {}
    for run in runs:
        history = client.get_metric_history(run.info.run_id, "validation/mean")
        found[run.info.run_name] = [(metric.step, metric.value) for metric in history]
        record = study.trial(int(run.data.params["trial"]))
        assert float(run.data.params["w_shap"]) == pytest.approx(record.weights["shap"])
        assert run.data.metrics["end/reward"] == pytest.approx(record.mean)
        assert (run.info.status, run.data.tags["end.status"]) == ("FINISHED", "completed")
        (file,) = client.list_artifacts(run.info.run_id, "credit")
        credit = json.loads((tmp_path / client.download_artifacts(run.info.run_id, file.path)).read_text())
        assert credit["rewards"] == study.results()[record.index][0].samples[0].rewards
    assert found == curves_of(study)


def test_mlflow_goes_on_with_a_run_that_was_cut(tracked, tmp_path):
    address = f"sqlite:///{tmp_path / 'mlflow.db'}"
    study = tracked("mlflow", "mlflow", tracking_uri=address)
    from mlflow import MlflowClient

    # As after a driver that was killed: nobody knows that the tracker has it all.
    told = study.path / "tracking" / "mlflow.json"
    told.write_text(told.read_text().replace('"completed"', "null"))
    Study.load("closed").run(1)
    client = MlflowClient(tracking_uri=address)
    runs = client.search_runs([client.get_experiment_by_name("closed").experiment_id])
    assert sorted(run.info.run_name for run in runs) == [f"trial-{index:04d}" for index in range(TRIALS + 1)]
    for run in runs:
        assert [each.step for each in client.get_metric_history(run.info.run_id, "validation/mean")] == [0, 1, 2]


def _dvclive(study, tmp_path):
    for folder in (study.path / "tracking" / "dvclive").iterdir():
        with (folder / "plots" / "metrics" / "validation" / "mean.tsv").open() as file:
            rows = list(csv.DictReader(file, delimiter="\t"))
        yield folder.name, [(int(row["step"]), float(row["mean"])) for row in rows]


def _comet_ml(study, tmp_path):
    for file in tmp_path.glob("comet/*.zip"):
        with zipfile.ZipFile(file) as archive:
            messages = [json.loads(line) for line in archive.read("messages.json").splitlines()]
        metrics = [message["payload"]["metric"] for message in messages if message["type"] == "metric_msg"]
        names = [
            message["payload"]["value"]
            for message in messages
            if message["type"] == "log_other" and message["payload"]["key"] == "Name"
        ]
        assert {message["type"] for message in messages}.isdisjoint({"standard_output", "source_code"})
        yield names[-1], [(m["step"], m["metricValue"]) for m in metrics if m["metricName"] == "validation/mean"]


def _clearml(study, tmp_path):
    for folder in tmp_path.glob(".clearml/cache/offline/offline-*"):
        if not folder.is_dir():
            continue
        name = json.loads((folder / "task.json").read_text())["name"]
        events = [event for line in (folder / "metrics.jsonl").read_text().splitlines() for event in json.loads(line)]
        yield name, [(e["iter"], e["value"]) for e in events if e["metric"] == "validation/mean"]


@pytest.mark.parametrize(
    ("name", "module", "read", "options", "environment"),
    [
        ("dvclive", "dvclive", _dvclive, {}, {}),
        ("comet_ml", "comet_ml", _comet_ml, {"online": False}, {"COMET_OFFLINE_DIRECTORY": "comet"}),
        ("clearml", "clearml", _clearml, {}, {"CLEARML_OFFLINE_MODE": "1"}),
    ],
)
def test_the_trackers_of_accelerate_hold_every_number(
    tracked, tmp_path, monkeypatch, name, module, read, options, environment
):
    for variable, value in environment.items():
        monkeypatch.setenv(variable, value)
    study = tracked(name, module, **options)
    assert dict(read(study, tmp_path)) == curves_of(study)
    # Nothing of theirs lies where the user stands.
    assert {path.name for path in tmp_path.iterdir() if not path.name.startswith(".")} <= {"studies", "comet"}


def test_swanlab_writes_a_run_per_trial(tracked):
    # Its file has no reader without its server; that it holds the names and the weights is what can be seen.
    study = tracked("swanlab", "swanlab", mode="offline")
    files = list(study.path.glob("tracking/swanlab/run-*/run-*.swanlab"))
    assert len(files) == TRIALS
    for file in files:
        data = file.read_bytes()
        for word in (b"trial-000", b"validation/mean", b"end/reward"):
            assert word in data
    configs = [file.read_text() for file in study.path.glob("tracking/swanlab/run-*/files/config.yaml")]
    assert all("w_shap" in config for config in configs)
