"""Every number of the published comparisons comes from the stored trainings."""

import json

import numpy as np
import pytest

from bo_shaping.comparison.stored import comparison_json, read_comparison
from bo_shaping.config import StudyConfig
from experiments.results.page import page_of, power
from experiments.results.papers import PAGE, overview
from experiments.results.tasks import TASKS
from tests.bo_shaping.comparison.made_up import make_comparison

STORED = [task for task in TASKS if task.stored.exists()]


@pytest.mark.parametrize("task", STORED, ids=lambda task: task.name)
def test_the_stored_table_and_its_page_are_those_of_the_trainings(task):
    data = json.loads(task.stored.read_text(encoding="utf-8"))
    again = read_comparison(task.stored).comparison.to_json()
    # Processors add numbers in different orders, so the last digits may differ.
    assert rounded(again) == rounded({name: data[name] for name in again})
    assert task.page.read_text(encoding="utf-8") == page_of(task, task.stored)


def rounded(value):
    """Nested lists and dictionaries with their numbers to nine decimals."""
    if isinstance(value, dict):
        return {key: rounded(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [rounded(inner) for inner in value]
    return round(value, 9) if isinstance(value, float) else value


def test_the_page_beside_the_papers_is_that_of_the_trainings():
    assert PAGE.read_text(encoding="utf-8") == overview()


def test_every_task_has_a_configuration_that_is_read():
    for task in TASKS:
        config = StudyConfig.from_yaml(task.config, ())
        assert config.name == task.name
        assert config.evaluation.gold


@pytest.fixture
def stored(tmp_path):
    def store(slopes):
        comparison, trained = make_comparison(slopes)
        file, config = tmp_path / "made_up.json", StudyConfig(name="made_up")
        file.write_text(json.dumps(comparison_json(comparison, trained, config) | {"remark": "The machine was busy."}))
        return file

    return store


def test_a_page_says_what_was_found(stored):
    page = page_of(TASKS[0], stored({"sparse": 0.1, "shap": 0.2, "shap-untuned": 0.15, "learned": 0.2}))
    # Straight lines: shap earns twice as much a step, so it needs half of the steps, and all of them end at KL 4.
    assert "| shap | gae_lambda 0.9 | 2.01" in page
    assert "| 0.50 (0.50 to 0.51) |" in page
    assert "learned beside shap, the best single component: +0.00 (+0.00 to +0.00) of held reward" in page
    assert "learned beside shap-untuned, a fixed setting, the papers': +0.50" in page
    assert page.rstrip().endswith("The machine was busy.")


def test_without_a_rise_of_sparse_there_are_no_steps_to_compare(stored):
    page = page_of(TASKS[0], stored({"sparse": -0.1, "shap": 0.2, "learned": 0.2}))
    assert "sparse ended no higher than the policy began, so there are no steps to compare." in page
    (shap,) = (line for line in page.splitlines() if line.startswith("| shap | gae_lambda"))
    assert shap.split(" | ")[5] == "-"


def test_power_is_told_by_hand():
    differences = np.array([-1.0, 1.0, -1.0, 1.0])  # mean 0, deviation 1.155
    words = power(differences + 0.1)
    assert words.startswith("A tie, as far as these seeds can tell. A difference of 1.62 would be found")
    assert words.endswith(f"would take {round((2.801585 * 1.154701 / 0.1) ** 2 + 0.5)} seeds.")
    assert power(differences / 10 + 1) == "A difference of 0.16 would be found in four of five such comparisons."
    assert power(np.array([1.0])) == "One seed tells nothing."
