"""Studies whose trials somebody else's inner loop evaluates."""

import math

import numpy as np
import pandas as pd
import pytest
import torch

from bo_shaping import Study
from bo_shaping.errors import RetryError, StudyLockedError, TellError
from tests.bo_shaping import closed_form


@pytest.fixture
def study(make_config):
    return Study.launch(make_config(budget={"trials": 8}))


def evaluate(arm):
    weights = {name: arm[name] for name in closed_form.OPTIMUM}
    return closed_form.reward(weights, arm["gae_lambda"]), closed_form.kl(weights, arm["gae_lambda"])


def test_asking_and_telling_is_what_running_does(study, make_config):
    for expected in range(7):
        index, arm = study.ask()
        assert index == expected
        assert sum(arm[name] for name in closed_form.OPTIMUM) == pytest.approx(1.0)
        mean, kl = evaluate(arm)
        # Every time by another process, as it were.
        Study.load("closed").tell(index, mean, sem=0.1, kl=kl)
    ran = Study.launch(make_config(name="ran", budget={"trials": 8}))
    ran.run(7)
    columns = ["status", "w_shap", "w_lime", "w_sparse", "gae_lambda", "mean", "sem", "kl"]
    pd.testing.assert_frame_equal(study.trials()[columns], ran.trials()[columns])
    assert study.best().weights == ran.best().weights


def test_an_asked_trial_is_run_by_nobody_and_waits(study):
    index, _ = study.ask()
    study.run(3)
    assert [record.status for record in study.folder.records()] == ["asked", "completed", "completed", "completed"]
    Study.load("closed").tell(index, 1.0, kl=2.0)
    record = study.trial(index)
    assert (record.status, record.mean, record.sem, record.kl) == ("completed", 1.0, None, 2.0)
    assert set(study.results()) == {1, 2, 3}


@pytest.mark.filterwarnings("error::RuntimeWarning")
@pytest.mark.parametrize(
    "of",
    [
        torch.tensor,
        lambda number: torch.tensor([[number]], dtype=torch.bfloat16, requires_grad=True),
        np.float16,
        np.float32,
        np.longdouble,
        np.array,
        lambda number: np.array([number]),
        pd.Series,
    ],
    ids=["tensor", "a parameter in bfloat16", "float16", "float32", "long double", "0-d", "1-d", "series"],
)
def test_an_outcome_may_be_what_other_loops_hold(study, of):
    index, _ = study.ask()
    study.tell(index, of(0.5), sem=of(0.25), kl=of(2.0))
    record = study.trial(index)
    assert (record.mean, record.sem, record.kl) == (0.5, 0.25, 2.0)
    weights = {name: of(weight) for name, weight in zip(closed_form.OPTIMUM, (0.5, 0.25, 0.25), strict=True)}
    attached = study.trial(study.attach({**weights, "gae_lambda": of(0.75)}, mean=of(1.0), kl=of(1.0)))
    assert attached.parameters == {"gae_lambda": 0.75}
    assert attached.weights["shap"] == 0.5


@pytest.mark.parametrize(
    ("outcome", "problem"),
    [
        ({"mean": math.nan}, "mean must be a finite number .*, got nan"),
        ({"mean": -1e200}, "mean must be a finite number .at most 1e.100 in size., got -1e.200"),
        ({"mean": 10**400}, "mean must be a finite number"),
        ({"mean": "high"}, "mean must be a finite number .*, got 'high'"),
        ({"mean": True}, "mean must be a finite number .*, got True"),
        ({"mean": torch.tensor(True)}, r"mean must be a finite number .*, got tensor\(True\)"),
        ({"mean": [1.0]}, r"mean must be a finite number .*, got \[1.0\]"),
        ({"mean": torch.ones(1000)}, r"mean must be a finite number .*, got tensor\(\[1., 1.,.* \.\.\.\."),
        ({"mean": np.float32("nan")}, "mean must be a finite number"),
        ({"mean": np.array(["1.0"])}, "mean must be a finite number"),
        ({"mean": 1.0, "kl": math.inf}, "kl must be a finite number .*, got inf"),
        ({"mean": 1.0, "kl": 1.0, "sem": -0.1}, "sem must be >= 0, got -0.1"),
        ({"mean": 1.0, "kl": 1.0, "measures": {"mean": 9.0}}, "Unknown measure 'mean'"),
        ({"mean": 1.0, "measures": {"kl": 1.0}}, "Unknown measure 'kl'"),
        ({"mean": 1.0, "kl": 1.0, "measures": {"lenght": 9.0}}, "'lenght', did you mean 'length'"),
        ({"mean": 1.0}, r"The study limits kl, so every outcome must come with it: tell\(..., kl=...\)"),
    ],
)
def test_an_outcome_that_cannot_be_used_changes_nothing(study, outcome, problem):
    index, _ = study.ask()
    with pytest.raises(TellError, match=problem):
        study.tell(index, **outcome)
    study.tell(index, 1.0, kl=1.0)


def test_only_a_trial_that_waits_can_be_told(study):
    with pytest.raises(TellError, match="'closed' has no trial 0; there are: none yet"):
        study.tell(0, 1.0, kl=1.0)
    study.run(1)
    with pytest.raises(TellError, match="Trial 0 has been told or run already"):
        study.tell(0, 1.0, kl=1.0)
    index, _ = study.ask()
    study.tell(index, 1.0, kl=1.0)
    with pytest.raises(TellError, match="Trial 1 has been told or run already"):
        study.tell(index, 2.0, kl=1.0)
    with pytest.raises(TellError, match="no trial 5; there are: 0 to 1"):
        study.tell(5, 1.0, kl=1.0)
    assert study.trial(index).mean == 1.0


def test_without_a_kl_budget_the_kl_may_stay_untold(make_config):
    study = Study.launch(make_config(objective={"max_kl": None}))
    for _ in range(7):
        index, arm = study.ask()
        study.tell(index, evaluate(arm)[0])
    assert study.trials()["status"].tolist() == ["completed"] * 7


def test_with_replicates_a_mean_comes_with_its_error_over_seeds(make_config):
    study = Study.launch(make_config(noise={"replicates": 2}))
    index, _ = study.ask()
    with pytest.raises(TellError, match="standard error over seeds"):
        study.tell(index, 1.0, kl=1.0)
    study.tell(index, 1.0, sem=0.2, kl=1.0)
    rows = study.ax_client._experiment.lookup_data().df.set_index("metric_name")
    assert rows.loc["reward", "sem"] == 0.2


def test_arms_of_ones_own_join_the_study(study):
    arm = {"shap": 0.25, "lime": 0.25, "sparse": 0.5, "gae_lambda": 0.9}
    first = study.attach(arm, mean=1.5, kl=3.0)
    second = study.attach({"sparse": 1.0, "gae_lambda": 1.0})
    study.tell(second, 0.5, kl=2.0)
    study.run(1)
    trials = study.trials()
    assert trials["origin"].tolist()[:2] == ["attached", "attached"]
    assert trials.loc[first, ["w_shap", "w_lime", "w_sparse", "gae_lambda", "mean"]].tolist() == [
        0.25,
        0.25,
        0.5,
        0.9,
        1.5,
    ]
    assert Study.load("closed").trials().equals(trials)


@pytest.mark.parametrize(
    ("arm", "problem"),
    [
        ({"shap": 0.5, "sparse": 0.4, "gae_lambda": 0.9}, "must be >= 0 and sum to 1"),
        ({"shap": 1.5, "sparse": -0.5, "gae_lambda": 0.9}, "must be >= 0 and sum to 1"),
        ({"sparse": 1.0}, "no value for 'gae_lambda'"),
        ({"sparse": 1.0, "gae_lambda": 1.2}, "gae_lambda must be between 0.5 and 1, got 1.2"),
        ({"sparse": 1.0, "gae_lambda": math.nan}, "gae_lambda must be a finite number"),
        ({"sparce": 1.0, "gae_lambda": 0.9}, "Unknown weight or parameter 'sparce'"),
    ],
)
def test_an_arm_outside_the_search_space_is_refused(study, arm, problem):
    with pytest.raises(TellError, match=problem):
        study.attach(arm, mean=1.0, kl=1.0)
    assert len(study.trials()) == 0


def test_asking_waits_for_no_driver(study):
    with study._ledger.driven():
        for action in (study.ask, lambda: study.tell(0, 1.0), lambda: study.retry(0), lambda: study.run(1)):
            with pytest.raises(StudyLockedError, match="is being driven by process"):
                action()
    assert study.stop() is False


def test_a_trial_that_was_given_up_can_be_told_after_all(study):
    index, arm = study.ask()
    study.tell_failed(index, "bad\udcff")
    assert study.trial(index).reason == "bad?"
    study.retry(index)
    assert Study.load("closed").trial(index).status == "asked"
    reward, kl = evaluate(arm)
    study.tell(index, reward, kl=kl)
    assert study.trial(index).status == "completed"


def test_after_an_error_a_study_sees_what_others_wrote(study):
    for _ in range(3):
        index, arm = study.ask()
        study.tell(index, evaluate(arm)[0], kl=evaluate(arm)[1])
    with pytest.raises(TellError):
        study.tell(99, 1.0, kl=1.0)
    other = Study.load("closed")
    index, arm = other.ask()
    other.tell(index, evaluate(arm)[0], kl=evaluate(arm)[1])
    assert study.best().n_trials == 4
    assert len(study.ax_client._experiment.trials) == 4


def test_a_failed_trial_can_be_run_again(make_config, monkeypatch):
    study = Study.launch(make_config("fail_without_sparse", budget={"trials": 4}))
    study.run()
    assert study.trial(1).status == "failed"
    for index, problem in ((0, "Trial 0 is completed; only a failed"), (9, "no trial 9; there are: 0 to 3")):
        with pytest.raises(RetryError, match=problem):
            study.retry(index)
    before = study.trial(1)
    monkeypatch.setattr(closed_form, "fail_without_sparse", closed_form.run_trial)
    Study.load("closed").retry(1)
    assert study.trial(1).status == "running"
    Study.load("closed").run(0)
    after = Study.load("closed").trial(1)
    assert (after.status, after.reason, after.weights, after.seeds) == ("completed", None, before.weights, before.seeds)
    assert len(Study.load("closed").ax_client._experiment.lookup_data().df) == 6


def test_a_study_can_be_stopped_from_outside_and_goes_on_later(study):
    def ask_to_stop():
        if len(study.trials()) == 2:
            assert Study.load("closed").stop() is True

    with pytest.raises(KeyboardInterrupt):
        study.run(on_change=ask_to_stop)
    assert study.folder.driver() is None
    assert len(study.trials()) == 2
    # The request was for that driver; the next one goes on.
    Study.load("closed").run(1)
    assert study.trials()["status"].tolist() == ["completed"] * 3


def test_a_trial_that_began_with_one_seed_ends_with_one_whatever_the_study_has_now(make_config, monkeypatch):
    study = Study.launch(make_config(budget={"trials": 8, "parallel": 1}))
    asked, _ = study.ask()

    def interrupt(spec):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(closed_form, "run_trial", interrupt)
        with pytest.raises(KeyboardInterrupt):
            study.run(1)
    assert [record.status for record in study.folder.records()] == ["asked", "running"]
    study = Study.load("closed", make_config(budget={"trials": 8}, noise={"replicates": 2}), allow_change=True)
    study.tell(asked, -1.0, kl=4.0)
    study.run()
    trials = study.trials()
    assert trials["status"].tolist() == ["completed"] * 8
    assert [len(seeds) for seeds in trials["seeds"]] == [1, 1] + [2] * 6
    # The last ones were chosen by the model, to which one and two seeds are comparable.
    assert "model" in trials["origin"].tolist()
