from pathlib import Path

import pytest
import yaml

from bo_shaping.cli.starting import TASKS, template
from bo_shaping.config import StudyConfig

QUICKSTART = Path(__file__).parents[3] / "experiments" / "quickstart.yaml"


@pytest.mark.parametrize("task", TASKS)
def test_every_template_is_a_study_of_its_files_name_and_says_how_to_run_it(bo_shaping, tmp_path, monkeypatch, task):
    monkeypatch.chdir(tmp_path)
    code, out, _ = bo_shaping("init", "reviews.yaml", "--task", task)
    assert code == 0
    assert out == "Wrote reviews.yaml; run it with: bo-shaping launch reviews.yaml\n"
    assert StudyConfig.from_yaml(tmp_path / "reviews.yaml").name == "reviews"
    text = (tmp_path / "reviews.yaml").read_text()
    assert "bo-shaping launch reviews.yaml" in text
    assert "STUDY" not in text


def test_without_arguments_it_is_the_quickstart_of_the_repository(bo_shaping, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert bo_shaping("init")[0] == 0
    ours, theirs = StudyConfig.from_yaml(tmp_path / "study.yaml"), StudyConfig.from_yaml(QUICKSTART)
    assert ours == theirs.model_copy(update={"name": "study"})


def test_a_file_that_is_there_is_left_alone(bo_shaping, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "study.yaml").write_text("mine: true\n")
    code, _, error = bo_shaping("init")
    assert code == 2
    assert error == "bo-shaping: study.yaml exists already; name another file: bo-shaping init OTHER.yaml\n"
    assert (tmp_path / "study.yaml").read_text() == "mine: true\n"


def test_an_unknown_task_names_the_nearest(bo_shaping, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    code, _, error = bo_shaping("init", "--task", "mien")
    assert (code, list(tmp_path.iterdir())) == (2, [])
    assert "did you mean 'mine'? Tasks: quickstart, sentiment-smollm2, mine." in error


def test_lines_that_are_commented_out_are_settings_too():
    lines = template("mine").splitlines()
    hidden = [line.replace("# ", "", 1) for line in lines if line.lstrip().startswith("# ") and ": " in line]
    settings = [line for line in hidden if line.split(":")[0].strip().isidentifier()]
    assert len(settings) == 14
    for line in settings:
        indent = len(line) - len(line.lstrip())
        assert isinstance(yaml.safe_load(line[indent:]), dict)
