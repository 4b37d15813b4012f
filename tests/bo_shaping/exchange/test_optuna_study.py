import pytest

from bo_shaping import Study
from bo_shaping.exchange.optuna_study import from_optuna

optuna = pytest.importorskip("optuna", reason="needs the extra optuna")


def test_a_study_goes_to_optuna_and_comes_back(finished, bo_shaping, tmp_path):
    file = tmp_path / "ours.db"
    code, out, _ = bo_shaping("export", "closed", "--format", "optuna", "--output", file)
    assert (code, out) == (0, f"{file}: 10 trials; look at them with: optuna-dashboard sqlite:///{file}\n")
    study = optuna.load_study(study_name="closed", storage=f"sqlite:///{file}")
    trials = finished.trials()
    assert [trial.value for trial in study.trials] == trials["mean"].tolist()
    assert [trial.user_attrs["kl"] for trial in study.trials] == trials["kl"].tolist()
    assert study.best_trial.params["w_shap"] == trials.loc[trials["mean"].idxmax(), "w_shap"]
    assert study.user_attrs["reward"] == "validation reward"
    back = from_optuna(f"sqlite:///{file}", "closed")
    assert [trial.outcomes["objective"][0] for trial in back.trials] == trials["mean"].tolist()
    assert not back.minimised


def test_failed_trials_keep_their_reason_and_waiting_ones_stay_behind(make_config, bo_shaping, tmp_path):
    study = Study.launch(make_config("fail_without_sparse", budget={"trials": 5}))
    study.run()
    study.ask()
    assert bo_shaping("export", "closed", "--format", "optuna", "--output", tmp_path / "x.db")[0] == 0
    trials = optuna.load_study(study_name="closed", storage=f"sqlite:///{tmp_path / 'x.db'}").trials
    failed = [record for record in study.folder.records() if record.status == "failed"]
    assert len(trials) == 5
    assert [t.user_attrs["reason"] for t in trials if t.state.name == "FAIL"] == [record.reason for record in failed]


def test_what_is_there_is_not_written_over(finished, bo_shaping, tmp_path):
    (tmp_path / "there.db").write_text("precious")
    code, _, error = bo_shaping("export", "closed", "--format", "optuna", "--output", tmp_path / "there.db")
    assert (code, "exists already" in error) == (2, True)
    assert (tmp_path / "there.db").read_text() == "precious"
    code, _, error = bo_shaping("export", "closed", "--format", "optuna")
    assert (code, "--output FILE.db" in error) == (2, True)
