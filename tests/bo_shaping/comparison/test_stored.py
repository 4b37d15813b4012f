import json
import math

import pytest

from bo_shaping.comparison.stored import comparison_json, read_comparison
from bo_shaping.config import StudyConfig
from bo_shaping.errors import ExperimentFileError
from tests.bo_shaping.comparison.made_up import make_comparison

SLOPES = {"sparse": 0.1, "shap": 0.2}


@pytest.fixture
def write(tmp_path):
    def write(slopes=SLOPES, change=lambda data: None, **settings):
        comparison, trained = make_comparison(slopes, **settings)
        data = comparison_json(comparison, trained, StudyConfig(name="toy"))
        change(data)
        file = tmp_path / "comparison.json"
        file.write_text(json.dumps(data, indent=1))
        return file, comparison

    return write


def test_what_was_written_is_read_again(write):
    file, comparison = write()
    stored = read_comparison(file)
    assert stored.comparison == comparison
    assert [len(own) for own in stored.trainings.values()] == [3, 3]
    assert stored.trainings["shap"][0].held == pytest.approx(comparison.rows[1].held.value, abs=0.03)


def test_what_it_says_comes_from_its_trainings(write):
    def more(data):
        data["trainings"][0]["curve"][-1]["mean"] += 1.0
        data["rows"][0]["held"] = [9, 9, 9]

    file, comparison = write(change=more)
    assert read_comparison(file).comparison.rows[0].held.value == pytest.approx(comparison.rows[0].held.value + 1 / 12)


def test_intervals_of_one_seed_have_no_ends(write):
    stored = read_comparison(write(n_seeds=1)[0])
    difference = stored.comparison.rows[1].difference
    assert difference.value == pytest.approx(1.0)
    assert math.isnan(difference.low)
    assert math.isnan(stored.by_step("shap").intervals[-1].high)


def test_curves_are_means_over_seeds_with_their_intervals(write):
    stored = read_comparison(write(max_kl=3.0)[0])
    by_step = stored.by_step("sparse")
    rewards = dict(zip(by_step.at.tolist(), by_step.intervals, strict=True))
    # Seeds 0, 1 and 2 earn 0.1, 0.101 and 0.102 a step, and keep what they have at KL 3, after 15 steps.
    assert rewards[10.0].value == pytest.approx(1.01)
    assert rewards[10.0].low == pytest.approx(1.0)
    assert rewards[20.0].value == pytest.approx(15 * 0.101)
    by_kl = stored.by_kl("sparse")
    assert (by_kl.at[0], by_kl.at[-1]) == (0.0, 3.0)
    assert by_kl.intervals[-1].value == pytest.approx(15 * 0.101)


def drop_trainings(data):
    del data["trainings"]


def of_nobody(data):
    data["trainings"][0]["method"] = "lime"


def without_sparse(data):
    data["trainings"] = [one for one in data["trainings"] if one["method"] != "sparse"]


def without_steps(data):
    del data["n_steps"]


def no_point(data):
    data["trainings"][0]["curve"] = []


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (drop_trainings, "is no comparison; write one with: bo-shaping compare"),
        (of_nobody, "trainings of 'lime', but no row"),
        (without_sparse, r"not trained equally often \(0 of sparse, 3 of shap\)"),
        (without_steps, "damaged: n_steps"),
        (no_point, "damaged: trainings, entry 1, curve: must have at least 1"),
    ],
)
def test_another_file_is_refused_with_what_is_wrong(write, change, message):
    with pytest.raises(ExperimentFileError, match=message):
        read_comparison(write(change=change)[0])


def test_what_is_not_there_is_said(tmp_path):
    with pytest.raises(ExperimentFileError, match="cannot be read"):
        read_comparison(tmp_path / "nothing.json")
