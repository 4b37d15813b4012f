from pathlib import Path

import pytest

from bo_shaping.config import StudyConfig
from bo_shaping.errors import ConfigError


def write(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "my-study.yaml"
    path.write_text(text)
    return path


def test_an_empty_file_is_the_default_study_named_after_the_file(tmp_path):
    config = StudyConfig.from_yaml(write(tmp_path, ""))
    assert config == StudyConfig(name="my-study")
    assert config.search_space.parameters["gae_lambda"].bounds == (0.5, 1.0)
    assert config.objective.max_kl == 8.0
    assert (config.budget.trials, config.budget.parallel) == (14, 2)


def test_resolved_yaml_reads_back_as_the_same_config(tmp_path):
    config = StudyConfig(name="a", ppo={"learning_rate": 1e-5}, objective={"max_kl": None})
    assert StudyConfig.from_yaml(write(tmp_path, config.to_yaml())) == config


def test_overrides_are_yaml_and_reach_nested_and_missing_sections(tmp_path):
    path = write(tmp_path, "ppo: {steps: 7}\n")
    overrides = [
        "ppo.steps=3",
        "ppo.learning_rate=1e-4",
        "objective.max_kl=null",
        "search_space.components=[lime, sparse]",
    ]
    config = StudyConfig.from_yaml(path, overrides)
    assert (config.ppo.steps, config.ppo.learning_rate, config.objective.max_kl) == (3, 1e-4, None)
    assert config.search_space.components == ("lime", "sparse")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("pppo: {}", r"my-study\.yaml: unknown key 'pppo', did you mean 'ppo'\?"),
        ("ppo: {stepz: 3}", r"ppo: unknown key 'stepz', did you mean 'steps'\?"),
        ("search_space: {components: [shap, limes, sparse]}", r"unknown component 'limes', did you mean 'lime'\?"),
        ("search_space: {components: [shap, lime]}", "with 'sparse' among them"),
        ("search_space: {components: [sparse]}", "at least two"),
        ("search_space: {components: [sparse, sparse]}", "at least two different"),
        (
            "search_space: {parameters: {lambda: {bounds: [0, 1]}}}",
            r"unknown key 'lambda', did you mean 'gae_lambda'\?",
        ),
        ("search_space: {parameters: {gae_lambda: {bounds: [0.5, 1.5]}}}", "gae_lambda: .*less than or equal to 1"),
        ("search_space: {parameters: {kl_coef: {bounds: [0.1, 0.1]}}}", "must be increasing"),
        ("search_space: {parameters: {kl_coef: {bounds: [0, 1], log: true}}}", "needs positive bounds"),
        ("evaluation: {split: heldout}", "must be 'validation'"),
        ("name: ../evil", "name: "),
        ("inner_loop: os.system", "inner_loop: "),
        ("budget: {trials: 0}", "budget.trials: "),
        ("- 1", "must hold keys and values"),
        ("a: [", "not valid YAML"),
        ("name: 2024-13-45", "not valid YAML"),
    ],
)
def test_bad_config_is_one_sentence_that_names_the_problem(tmp_path, text, message):
    with pytest.raises(ConfigError, match=message) as caught:
        StudyConfig.from_yaml(write(tmp_path, text))
    assert "\n" not in str(caught.value)
    assert "my-study.yaml" in str(caught.value)


def test_yaml_that_builds_objects_is_refused(tmp_path):
    with pytest.raises(ConfigError, match="not valid YAML"):
        StudyConfig.from_yaml(write(tmp_path, "name: !!python/object/apply:os.getcwd []"))


def test_missing_file_and_broken_override_are_named(tmp_path):
    with pytest.raises(ConfigError, match=r"no config file .*none\.yaml"):
        StudyConfig.from_yaml(tmp_path / "none.yaml")
    for override in ("ppo.steps", "=3", "a..b=1"):
        with pytest.raises(ConfigError, match=r"looks like ppo\.steps=3"):
            StudyConfig.from_yaml(write(tmp_path, ""), [override])
    with pytest.raises(ConfigError, match="goes through 'seed'"):
        StudyConfig.from_yaml(write(tmp_path, "seed: 1"), ["seed.x=1"])
