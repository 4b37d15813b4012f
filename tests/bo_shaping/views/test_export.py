import csv
import io
import json

from bo_shaping import Study
from bo_shaping.views.export import export_ax_json, export_csv, export_json
from tests.bo_shaping.bare_study import EVIL, EVIL_SHOWN, add_trial, bare_study

ARM = ["0.25", "0.0", "0.75", "0.9"]


def test_the_table_has_a_row_per_trial_and_a_column_per_fact(studies):
    folder = bare_study(studies / "toy")
    add_trial(folder, 0, "completed", seeds=(3, 4), origin="design", measures={"length": 18.5})
    add_trial(folder, 1, "failed", reason=f"a, b\n{EVIL}", attempt=2, earlier=(f"died\n{EVIL}",))
    header, *rows = csv.reader(io.StringIO(export_csv(folder)))
    assert header == [
        *("index", "status", "origin", "seeds", "attempt", "w_shap", "w_lime", "w_sparse", "gae_lambda"),
        *("mean", "sem", "final", "kl", "length", "step", "seconds", "reason", "earlier"),
    ]
    assert rows == [
        [
            "0",
            "completed",
            "design",
            "3 4",
            "1",
            "0.25",
            "0.0",
            "0.75",
            "0.9",
            "1.0",
            "0.1",
            "",
            "2.0",
            "18.5",
            "",
            "3.0",
            "",
            "",
        ],
        [
            *("1", "failed", "model", "0", "2", "0.25", "0.0", "0.75", "0.9"),
            *[""] * 7,
            *(f"{w}\\n{EVIL_SHOWN}" for w in ("a, b", "died")),
        ],
    ]


def test_a_study_without_trials_is_a_table_without_rows(studies):
    assert export_csv(bare_study(studies / "toy")).count("\n") == 1


def test_json_holds_configuration_curves_and_recommendation(finished):
    best = finished.best()
    data = json.loads(export_json(finished.folder))
    assert data["config"]["name"] == "closed"
    assert [trial["index"] for trial in data["trials"]] == list(range(10))
    for trial in data["trials"]:
        (curve,) = trial["curves"]
        assert curve[-1]["mean"] == trial["mean"] == finished.results()[trial["index"]][0].mean
    assert data["best"]["weights"] == best.weights


def test_no_export_carries_a_password(studies):
    folder = bare_study(studies / "toy", storage="postgresql://me:secret@nowhere/db")
    assert "secret" not in export_json(folder) + export_csv(folder)
    assert json.loads(export_json(folder))["config"]["storage"] == "postgresql://me:***@nowhere/db"


def test_the_one_file_has_explained_responses_if_asked_for(make_config):
    study = Study.launch(make_config("climb_and_explain", budget={"trials": 3}))
    study.run()

    def samples(text):
        trials = json.loads(text)["experiment"]["properties"]["bo-shaping"]["trials"]
        return [result["samples"] for trial in trials for result in trial["results"]]

    assert all(results[0].samples for results in study.results().values())
    assert not any(samples(export_ax_json(study.folder)))
    kept = samples(export_ax_json(study.folder, keeps_responses=True))
    assert kept == [r.model_dump(mode="json")["samples"] for results in study.results().values() for r in results]
