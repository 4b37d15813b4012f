"""What a study says of its components and its budget, wherever one looks."""

import json
import shutil

import numpy as np
import pytest

from bo_shaping import Study
from bo_shaping.views.credit_similarity import similarity_html
from bo_shaping.views.doctor import examine
from bo_shaping.views.report import write_report
from inner_loop.spec import ExplainedResponse, TrialProgress
from inner_loop.spec.credit_similarity import CreditSimilarity
from tests.bo_shaping import closed_form

WARNING = "lime pays as shap does (correlation 1.00 within a response)"


def run_explained(spec):
    """The closed form, with samples in which LIME pays as SHAP does."""
    yield from ()
    result = closed_form.result_of(spec, closed_form.reward(spec.weights, spec.ppo.gae_lambda))
    credit = np.random.default_rng(spec.seed).normal(size=6)
    components = {"shap": credit.tolist(), "lime": (2 * credit).tolist(), "sparse": [0.0] * 5 + [1.0]}
    sample = ExplainedResponse(
        prompt="x", response="abcdef", score=1.0, base_value=0.0, tokens=list("abcdef"), components=components,
        rewards=credit.tolist(),
    )  # fmt: skip
    return result.model_copy(update={"samples": [sample]})


@pytest.fixture
def study(make_config):
    inner_loop = f"{__name__}:run_explained"
    study = Study.launch(make_config(budget={"trials": 5}).model_copy(update={"inner_loop": inner_loop}))
    study.run()
    return study


def test_status_best_and_report_say_it(study, bo_shaping):
    assert study.credit_similarity().correlation[0][1] == pytest.approx(1.0)
    assert WARNING in bo_shaping("status", "closed")[1]
    code, out, _ = bo_shaping("best", "closed", "--posterior")
    assert code == 0
    assert "How alike the components pay" in out
    assert WARNING in out
    page = write_report(study).read_text()
    assert "How alike the components pay" in page
    assert WARNING in page


@pytest.mark.parametrize(("measure", "says_over"), [("held", False), ("final", True)])
def test_a_training_that_stopped_at_the_budget_is_not_called_over_it(make_config, measure, says_over):
    objective = {"measure": measure, "max_kl": 0.5}
    study = Study.launch(make_config("climb", budget={"trials": 4}, objective=objective))
    study.run()
    assert all(study.trials()["kl"] > 0.5)
    assert ("over the budget of" in write_report(study).read_text()) == says_over


def test_tables_and_report_say_what_the_reward_is(make_config, bo_shaping):
    objective = {"measure": "held", "max_kl": 0.5}
    study = Study.launch(make_config("climb", budget={"trials": 4}, objective=objective))
    study.run()
    words = "mean reward along the training, held from KL 0.5 on"
    trial = study.trial(0)
    assert abs(trial.mean) < abs(trial.final)
    for verb in ("status", "trials"):
        out = bo_shaping(verb, "closed")[1]
        assert f"reward: {words}; final: at the end of the training" in out
        assert f"{trial.final:.3f}" in out
        assert f"{trial.mean:.3f}" in out
    page = write_report(study).read_text()
    assert f"Reward is the {words}" in page
    assert f'data-head="final">{trial.final:.3f}</td>' in page


def test_the_final_reward_needs_no_words(finished, bo_shaping):
    out = bo_shaping("trials", finished.path)[1]
    assert "final" not in out
    assert "reward:" not in out


def test_doctor_says_which_component_to_leave_out(study):
    [found] = [finding for finding in examine(study.folder) if finding.check == "components"]
    assert not found.is_ok
    assert found.text.startswith("lime pays as shap does: their credit correlates by 1.00")
    assert found.remedy == "in another study, leave lime out of search_space.components"


def test_without_samples_there_is_nothing_to_say(finished, bo_shaping):
    assert finished.credit_similarity() is None
    assert "pays as" not in bo_shaping("status", finished.path)[1]
    [found] = [finding for finding in examine(finished.folder) if finding.check == "components"]
    assert found.is_ok


def test_names_in_the_page_are_escaped():
    html = similarity_html(CreditSimilarity(["<b>", "x"], [[1.0, None], [None, 1.0]], [0.5, 0.25], 3))
    assert "<b>" not in html
    assert "&lt;b&gt;" in html
    assert "–" in html
    assert "25 %" in html


def run_measured(spec):
    """The closed form, whose start policy is explained before the first step."""
    measured = CreditSimilarity(
        list(spec.weights), [[1.0, 0.97, None], [0.97, 1.0, 0.4], [None, 0.4, 1.0]], [0.5] * 3, 4
    )
    for step in range(2):
        yield TrialProgress(step=step, n_steps=1, similarity=None if step else measured)
    return closed_form.result_of(spec, closed_form.reward(spec.weights, spec.ppo.gae_lambda))


def test_what_the_start_policy_shows_is_kept_with_the_study(make_config, bo_shaping):
    config = make_config(budget={"trials": 4}).model_copy(update={"inner_loop": f"{__name__}:run_measured"})
    study = Study.launch(config)
    assert study.credit_similarity() is None
    study.run(1)
    kept = study.credit_similarity()
    assert kept.pairs_alike() == [("shap", "lime", 0.97)]
    assert (kept.n_responses, kept.token_share) == (4, [0.5] * 3)
    # It stays when what it was measured on is gone.
    shutil.rmtree(study.path / "trials")
    assert Study.load("closed").credit_similarity() == kept
    out = bo_shaping("status", "closed")[1]
    assert "tokens paid: shap 50 %, lime 50 %, sparse 50 %; most alike: shap and lime, correlation 0.97" in out
    assert "lime pays as shap does (correlation 0.97" in out
    assert json.loads(bo_shaping("status", "closed", "--json")[1])["components"]["correlation"][0] == [1.0, 0.97, None]
    out = bo_shaping("resume", "closed")[1]
    assert out.count("Note: lime pays as shap does") == 2, "when the run begins, and when it has ended"


def test_other_components_are_not_said_to_be_alike(make_config):
    config = make_config(budget={"trials": 4}).model_copy(update={"inner_loop": f"{__name__}:run_measured"})
    study = Study.launch(config)
    study.run(1)
    assert study.folder.similarity_at_start(["shap", "lime", "sparse"]) is not None
    assert study.folder.similarity_at_start(["shap", "sparse", "lime"]) is None
