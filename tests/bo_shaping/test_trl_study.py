"""A whole study whose trials TRL trains, at toy size; and the configurations for machines that are larger."""

from pathlib import Path

import pytest

from bo_shaping import Study
from bo_shaping.config import StudyConfig
from inner_loop.integrations.trl_config import check_ppo

EXPERIMENTS = Path(__file__).parents[2] / "experiments"
TRL = "inner_loop.integrations.trl:run_trial"


def test_a_study_trains_its_trials_with_trl_and_recommends_weights(studies):
    config = {
        "name": "trl",
        "inner_loop": TRL,
        "task": {"response_tokens": 6},
        "ppo": {
            "algorithm": "grpo",
            "samples_per_prompt": 2,
            "steps": 1,
            "rollout_size": 4,
            "minibatch_size": 4,
            "epochs": 1,
        },
        "attribution": {"units": "words", "budget": 16},
        "evaluation": {"n_prompts": 4, "every": 1},
        "search_space": {"components": ["shap", "sparse"], "parameters": {"gae_lambda": {"bounds": [0.5, 1.0]}}},
        "budget": {"trials": 6, "parallel": 1},
        "executor": "inline",
    }
    study = Study.launch(StudyConfig.model_validate(config))
    study.run()
    trials = study.trials()
    assert list(trials["status"]) == ["completed"] * 6
    # The last trial may run the best arm again, with a fresh seed.
    assert len({(row.w_shap, row.gae_lambda, row.seeds) for row in trials.itertuples()}) == 6
    assert trials["mean"].nunique() > 1
    for (result,) in study.results().values():
        assert [point.step for point in result.curve] == [0, 1]
        assert result.samples
    assert set(study.best().weights) == {"shap", "sparse"}


@pytest.mark.parametrize("name", ["trl_one_gpu", "trl_eight_gpus"])
def test_the_configurations_for_gpus_are_ones_that_trl_can_train(name):
    path = EXPERIMENTS / f"{name}.yaml"
    config = StudyConfig.from_yaml(path)
    assert config.inner_loop == TRL
    assert config.name == name
    check_ppo(config.ppo)
    assert "Not run here" in path.read_text(encoding="utf-8")
