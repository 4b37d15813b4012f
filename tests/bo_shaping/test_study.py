import math
import shutil
import time

import pytest

from bo_shaping import Study
from bo_shaping.errors import ConfigError, StorageError, StudyExistsError, TooManyFailuresError
from bo_shaping.storage.trial_folder import TrialFolder
from bo_shaping.surrogate.recommend import should_stop
from bo_shaping.views.report import write_report
from inner_loop import ShapingFunction
from inner_loop.errors import TaskError
from inner_loop.models.model_source import model_source
from tests.bo_shaping import closed_form


def test_a_study_finds_better_weights_than_its_corners(finished):
    trials = finished.trials()
    assert list(trials["status"]) == ["completed"] * 10
    corners = trials[trials[["w_shap", "w_lime", "w_sparse"]].max(axis=1) == 1.0]
    best = finished.best()
    truth = closed_form.reward(best.weights, best.parameters["gae_lambda"])
    assert truth > corners["mean"].max() + 1
    assert truth == pytest.approx(2.0, abs=0.15)
    assert best.prob_better_than_sparse > 0.95
    assert best.nearest_trial in trials["index"].values


def test_the_table_holds_what_the_trials_returned(finished):
    trials = finished.trials()
    columns = [
        "index",
        "status",
        "w_shap",
        "w_lime",
        "w_sparse",
        "gae_lambda",
        "mean",
        "sem",
        "final",
        "kl",
        "reason",
        "seconds",
        "origin",
        "seeds",
        "attempt",
        "earlier",
        "step",
    ]
    assert list(trials.columns) == columns
    for index, (result,) in finished.results().items():
        row = trials.set_index("index").loc[index]
        weights = {name: row[f"w_{name}"] for name in closed_form.OPTIMUM}
        assert result.mean == row["mean"] == pytest.approx(closed_form.reward(weights, row["gae_lambda"]))
        assert (row["sem"], row["seconds"]) == (0.1, 0.5)


def test_the_recommendation_is_kept_until_a_trial_is_added(finished, monkeypatch):
    best = finished.best()
    assert best.n_trials == 10
    monkeypatch.setattr("bo_shaping.study.recommend", lambda *_: pytest.fail("fitted again"))
    assert Study.load("closed").best() == best
    assert Study.load("closed").surface().weights.shape == (66, 3)
    monkeypatch.undo()
    finished.run(1)
    assert finished.best().n_trials == 11


def test_the_recommendation_is_another_when_the_objective_is(finished, make_config):
    # Pure sparse, whose KL is 4, is all that keeps this limit.
    before = finished.best()
    assert before.kl > 4.01
    tight = make_config(budget={"trials": 10}, objective={"max_kl": 4.01})
    after = Study.load("closed", tight, allow_change=True).best()
    assert after.kl < before.kl
    assert Study.load("closed").best() == after


def test_the_shaping_function_carries_the_learned_weights(finished):
    shaping = finished.shaping_function()
    assert shaping.weights == finished.best().weights
    assert shaping.reward_model == "embedded"


def test_the_shaping_function_is_saved_with_its_evidence(finished, tmp_path):
    best = finished.best()
    finished.shaping_function().save(tmp_path / "learned")
    loaded = ShapingFunction.load(tmp_path / "learned")
    assert loaded == finished.shaping_function()
    evidence = loaded.evidence
    assert (evidence.objective, evidence.mean, evidence.interval) == (best.reward, best.mean, best.mean_interval)
    assert (evidence.trials, evidence.kl) == (best.n_trials, best.kl)
    assert evidence.prob_better_than_sparse == best.prob_better_than_sparse
    assert (evidence.source, evidence.credibility) == ("study closed", 0.9)
    assert "policy embedded, reward model embedded, prompts embedded, responses of up to 20 tokens" in evidence.task
    # What was searched is as recommended, the rest as configured.
    assert evidence.parameters["gae_lambda"] == best.parameters["gae_lambda"]
    assert evidence.parameters["kl_coef"] == finished.config.ppo.kl_coef
    assert {"python", "torch", "bo-shaping"} <= set(evidence.versions)


def test_the_shaping_function_carries_the_learned_units(make_config):
    space = {"parameters": {"max_units": {"bounds": [4, 24]}}}
    study = Study.launch(make_config(attribution={"units": "spans"}, search_space=space, budget={"trials": 6}))
    study.run()
    assert study.shaping_function().attribution.max_units == study.best().parameters["max_units"]


def test_failing_and_nan_trials_are_recorded_and_the_study_goes_on(make_config):
    study = Study.launch(make_config("fail_without_sparse", budget={"trials": 7}))
    study.run()
    trials = study.trials().set_index("index")
    assert trials["status"].tolist() == ["completed", "failed", "failed", *["completed"] * 4]
    assert trials.loc[1, "reason"] == "ArithmeticError: the [bold]policy[/bold] diverged in step 3"
    assert "mean: nan is not a finite number" in trials.loc[2, "reason"]
    assert math.isnan(trials.loc[2, "mean"])
    data = study.ax_client._experiment.lookup_data().df
    assert sorted(data["trial_index"].unique()) == [0, 3, 4, 5, 6]
    assert Study.load("closed").trials().equals(study.trials())


def test_a_study_in_which_everything_fails_stops_and_can_go_on(make_config):
    study = Study.launch(make_config("always_fail", budget={"trials": 8}))
    with pytest.raises(TooManyFailuresError, match=r"5 of 5 trials .* RuntimeError: no .*bo-shaping resume closed$"):
        study.run()
    (reason,) = set(study.trials()["reason"])
    assert reason == "RuntimeError: no <b>luck</b> " + "at all " * 19 + "at all"
    # Ax puts reasons into HTML as they are, and has room for 100 characters.
    stored = study.ax_client._experiment.trials[0].status_reason
    assert stored.startswith("RuntimeError: no (b)luck(/b) at all")
    assert len(stored) == 100
    # What failed before does not count against the next run.
    Study.load("closed").run(2)
    assert len(study.trials()) == 7


def test_a_study_may_be_told_to_bear_with_failures(make_config):
    study = Study.launch(make_config("always_fail", budget={"trials": 7, "max_failures": 1.0}))
    study.run()
    assert study.trials()["status"].tolist() == ["failed"] * 7


@pytest.mark.parametrize(("retries", "words"), [(0, "once"), (1, "2 times")])
def test_a_worker_that_keeps_dying_without_a_word_fails_its_trial(make_config, retries, words):
    config = make_config("die", executor="process", budget={"trials": 1}, workers={"retries": retries})
    study = Study.launch(config)
    study.run()
    record = study.trial(0)
    assert (record.status, record.attempt) == ("failed", retries + 1)
    assert record.reason.startswith(f"tried {words}: the worker ended without a result")
    assert str(study.folder.trial(0).log_file) in record.reason
    # Every attempt keeps why it ended.
    assert len(record.earlier) == retries
    assert all(why.startswith("the worker ended without a result") for why in record.earlier)


def test_replicates_give_ax_the_standard_error_over_seeds(make_config):
    study = Study.launch(make_config(noise={"replicates": 3}, budget={"trials": 3}))
    study.run()
    data = study.ax_client._experiment.lookup_data().df.query("metric_name == 'reward' and trial_index == 0")
    base = closed_form.reward({"sparse": 1.0}, 0.95)
    # Seeds 0, 1, 2 add 0.00, 0.01, 0.02: standard deviation 0.01.
    assert data["mean"].item() == pytest.approx(base + 0.01)
    assert data["sem"].item() == pytest.approx(0.01 / math.sqrt(3))
    assert study.trials().loc[0, "sem"] == pytest.approx(0.01 / math.sqrt(3))


def test_results_of_several_seeds_come_one_by_one_and_curves_as_their_mean(make_config):
    study = Study.launch(make_config(noise={"replicates": 2}, budget={"trials": 1}))
    study.run()
    results = study.results()
    assert [[result.seed for result in seeds] for seeds in results.values()] == [[0, 1]]
    first, second = results[0]
    (curve,) = study.curves().values()
    assert curve[-1].mean == pytest.approx((first.curve[-1].mean + second.curve[-1].mean) / 2)
    assert curve == study.curves(results)[0]


def test_the_report_reads_every_result_once(finished, monkeypatch, tmp_path):
    read, results = [], TrialFolder.results
    monkeypatch.setattr(TrialFolder, "results", lambda folder: read.append(folder.path.name) or results(folder))
    write_report(finished, tmp_path)
    assert sorted(read) == [f"{index:04d}" for index in range(10)]


def test_one_seed_leaves_the_noise_to_the_gaussian_process(finished):
    assert finished.ax_client._experiment.lookup_data().df["sem"].isna().all()


def test_two_studies_in_one_process_keep_to_their_own_databases(make_config):
    first = Study.launch(make_config(name="first", budget={"trials": 2}))
    second = Study.launch(make_config(name="second", budget={"trials": 3}))
    first.run()
    second.run()
    first.run(1)
    assert [len(Study.load(name).ax_client._experiment.trials) for name in ("first", "second")] == [3, 3]


def test_a_study_in_pieces_proposes_what_the_uninterrupted_one_does(make_config, finished):
    whole = finished.trials()
    Study.launch(make_config(name="pieces", budget={"trials": 10})).run(7)
    for _ in range(3):
        Study.load("pieces").run(1)
    assert Study.load("pieces").trials().equals(whole)


def test_a_budget_that_is_spent_runs_nothing_and_more_can_be_asked_for(make_config):
    study = Study.launch(make_config(budget={"trials": 2}))
    study.run()
    study.run()
    assert len(study.trials()) == 2
    study.run(2)
    assert len(study.trials()) == 4


def test_launching_twice_names_the_command_that_continues(make_config):
    Study.launch(make_config())
    with pytest.raises(StudyExistsError, match=r"continue it with: bo-shaping resume closed$"):
        Study.launch(make_config())


def test_a_launch_that_was_killed_half_way_does_not_block_the_name(make_config, studies):
    Study.launch(make_config())
    (studies / "closed" / "config.yaml").unlink()
    Study.launch(make_config(budget={"trials": 1})).run()
    assert len(Study.load("closed").trials()) == 1


def test_a_task_that_cannot_be_set_up_is_found_before_the_first_trial(make_config, studies):
    config = make_config(inner_loop="inner_loop.trial:run_trial", task={"policy": "/no/such/model"})
    with pytest.raises(TaskError, match="/no/such/model"):
        Study.launch(config)
    with pytest.raises(ConfigError, match="no_such_loop"):
        Study.launch(make_config("no_such_loop"))
    assert not studies.exists()


@pytest.mark.parametrize("damage", ["garbage", "empty", "missing"])
def test_a_damaged_database_names_the_remedy_and_the_remedy_works(finished, damage):
    before, database = finished.trials(), finished.path / "study.db"
    for suffix in ("-wal", "-shm"):
        (finished.path / f"study.db{suffix}").unlink(missing_ok=True)
    if damage == "missing":
        database.unlink()
    else:
        database.write_bytes(b"not a database" * 1000 if damage == "garbage" else b"")
    with pytest.raises(StorageError, match=r"study\.db.*bo-shaping resume closed --rebuild"):
        Study.load("closed")
    rebuilt = Study.rebuild("closed")
    assert Study.load("closed").trials().equals(before)
    assert rebuilt._ledger.experiment.status_quo.parameters["w_sparse"] == 1.0
    rebuilt.run(1)
    assert len(Study.load("closed").ax_client._experiment.lookup_data().df) == 22


def test_every_damaged_database_is_kept(finished):
    for _ in range(2):
        finished.folder.database_file.write_bytes(b"garbage")
        Study.rebuild("closed")
    assert {path.name for path in finished.path.glob("study.db.damaged*")} >= {"study.db.damaged", "study.db.damaged2"}


def test_a_model_that_was_moved_costs_no_trials(make_config, tmp_path, monkeypatch):
    folder = tmp_path / "models" / "policy"
    shutil.copytree(model_source("embedded", "policy").weights, folder)
    monkeypatch.chdir(tmp_path)
    settings = {"inner_loop": "inner_loop.trial:run_trial", "task": {"policy": "models/policy"}}
    study = Study.launch(make_config(**settings))
    # Resumed from anywhere: the path is absolute.
    assert study.config.task.policy == str(folder)
    folder.rename(tmp_path / "elsewhere")
    with pytest.raises(TaskError, match=r"task\.policy"):
        Study.load("closed").run(1)
    assert len(Study.load("closed").trials()) == 0


def test_a_trial_whose_curve_lags_is_stopped_with_what_it_has_got(make_config, monkeypatch):
    def lags(client, _config, running):
        frame = client._experiment.lookup_data().full_df
        # Its curve is known up to the second of five points.
        return {1: "it lags"} if 1 in running and set(frame.query("trial_index == 1")["step"]) == {0, 1} else {}

    monkeypatch.setattr("bo_shaping.running.driver.trials_to_stop", lags)
    config = make_config(
        "climb_until_stopped",
        executor="process",
        ppo={"steps": 4},
        early_stopping={"min_step": 1, "min_curves": 2},
        evaluation={"every": 1},
        budget={"trials": 3, "parallel": 1},
    )
    study = Study.launch(config)
    study.run()
    record = study.trial(1)
    assert (record.status, record.step, record.reason) == ("stopped", 1, "it lags")
    assert record.mean == pytest.approx(closed_form.reward({"shap": 1.0}, 0.95) / 4)
    assert not study.folder.trial(1).is_locked()
    assert {index: [point.step for point in curve] for index, curve in study.curves().items()} == {
        0: [0, 1, 2, 3, 4],
        1: [0, 1],
        2: [0, 1, 2, 3, 4],
    }
    assert [study.trial(index).status for index in (0, 2)] == ["completed", "completed"]
    stored = study._ledger._database.load("closed")
    assert stored.trials[1].status.name == "EARLY_STOPPED"
    rows = stored.lookup_data().full_df.query("metric_name == 'reward'")
    assert sorted(rows.query("trial_index == 1")["step"]) == [0, 1]
    # A curve and the final value.
    assert len(rows.query("trial_index == 0")) == 6
    study.folder.database_file.unlink()
    assert Study.rebuild("closed")._ledger._database.load("closed").data == stored.data


def test_a_trial_that_finishes_while_curves_are_compared_is_completed(make_config, monkeypatch):
    def lags(client, config, running):
        [index] = running
        trial = study.folder.trial(index)
        while not trial.is_done():
            time.sleep(0.01)
        return {index: "it lags"}

    monkeypatch.setattr("bo_shaping.running.driver.trials_to_stop", lags)
    settings = {"early_stopping": {"min_step": 1, "min_curves": 2}, "evaluation": {"every": 1}, "ppo": {"steps": 4}}
    study = Study.launch(make_config("climb", executor="process", budget={"trials": 3, "parallel": 1}, **settings))
    study.run()
    assert study.trials()["status"].tolist() == ["completed"] * 3


def test_a_study_ends_once_it_knows_enough_and_not_before_its_design_is_run(make_config, monkeypatch):
    asked = []

    def counted(experiment, config, n_design):
        asked.append(len(experiment.trials))
        return should_stop(experiment, config, n_design)

    monkeypatch.setattr("bo_shaping.running.driver.should_stop", counted)
    study = Study.launch(make_config(budget={"trials": 12, "parallel": 1, "stop_when_regret_below": 100.0}))
    study.run()
    # A design of six, and one more.
    assert study.trials()["status"].tolist() == ["completed"] * 7
    assert study.why_enough.startswith("the expected regret of the recommendation is ")
    # Once for each number of results.
    assert asked == list(range(8))
