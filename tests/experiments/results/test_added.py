"""Methods that were tried later stand in a comparison as if they had been there from the start."""

import pytest

from bo_shaping.comparison.stored import comparison_json
from bo_shaping.config import StudyConfig
from experiments.results.added import AddedError, with_more
from experiments.results.page import page_of
from experiments.results.tasks import TASKS
from tests.bo_shaping.comparison.made_up import make_comparison

SLOPES = {"sparse": 0.1, "shap": 0.2, "learned": 0.2, "uniform": 0.05}


def stored(*methods, n_seeds=3, remark=None):
    comparison, trained = make_comparison({name: SLOPES[name] for name in methods}, n_seeds)
    made = {"environment": {"processor": f"P{len(methods)}"}, "remark": remark}
    return comparison_json(comparison, trained, StudyConfig(name="made_up")) | made


def test_the_whole_is_what_one_comparison_of_all_would_have_been(tmp_path):
    whole = with_more(stored("sparse", "shap", "learned"), stored("uniform", remark="Later."), tmp_path / "all.json")
    expected = stored(*SLOPES)
    assert whole["rows"] == expected["rows"]
    assert whole["trainings"] == expected["trainings"]
    assert whole["goal"] == expected["goal"]


def test_the_page_says_what_was_trained_later_and_where(tmp_path):
    whole = with_more(stored("sparse", "shap", "learned"), stored("uniform", remark="Later."), tmp_path / "all.json")
    assert whole["environment"] == {"processor": "P3"}
    page = page_of(TASKS[0], tmp_path / "all.json")
    assert page.rstrip().endswith("† Trained later: uniform. processor P1. Later.")


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (stored("shap"), "shap stands in the comparison already"),
        (stored("uniform", n_seeds=2), "differ in n_seeds"),
        (stored("uniform") | {"n_steps": 5, "max_kl": 1.0}, "differ in n_steps, max_kl"),
    ],
)
def test_what_was_not_run_alike_is_refused(more, message, tmp_path):
    with pytest.raises(AddedError, match=message):
        with_more(stored("sparse", "shap", "learned"), more, tmp_path / "all.json")
