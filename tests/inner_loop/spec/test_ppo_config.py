import pytest
from pydantic import ValidationError

from inner_loop.spec import PPOConfig, StepStats, TrialResult


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"minibatch_size": 5}, "minibatch_size must divide rollout_size, got 5 and 32"),
        ({"samples_per_prompt": 5}, "samples_per_prompt must divide rollout_size, got 5 and 32"),
        ({"accumulate": 5}, "accumulate must divide minibatch_size, got 5 and 32"),
        (
            {"algorithm": "rloo"},
            "algorithm 'rloo' compares responses to one prompt: samples_per_prompt must be at least 2",
        ),
        ({"algorithm": "grpo", "samples_per_prompt": 2, "missing_eos": "bootstrap"}, "'bootstrap' needs a critic"),
        (
            {"algorithm": "grpo", "samples_per_prompt": 2, "centre_credit": True},
            "centre_credit does not go with algorithm 'grpo'",
        ),
        ({"adaptive_kl": 6.0, "kl_coef": 0.0}, "adaptive_kl multiplies kl_coef"),
        ({"top_p": 0.0}, "greater than 0"),
        ({"topp": 0.5}, "unknown key 'topp', did you mean 'top_p'"),
    ],
)
def test_settings_that_cannot_work_are_refused_with_a_reason(settings, message):
    with pytest.raises(ValidationError, match=message):
        PPOConfig(**settings)


def test_a_group_takes_fewer_prompts():
    assert PPOConfig(samples_per_prompt=4).prompts_per_step == 8


def test_configurations_and_results_of_version_0_1_still_load():
    config = PPOConfig(
        **{"steps": 20, "rollout_size": 32, "minibatch_size": 32, "epochs": 4, "learning_rate": 1e-4, "kl_coef": 0.05},
        **{"gamma": 1.0, "gae_lambda": 0.95, "clip_range": 0.2, "value_clip_range": 0.2, "value_coef": 0.1},
        **{"max_grad_norm": 1.0, "temperature": 1.0, "max_kl": 200.0},
    )
    assert config == PPOConfig()
    stats = {"score": 1, "kl": 1, "policy_loss": 0, "value_loss": 0, "clip_fraction": 0, "grad_norm": 1, "length": 9}
    point = {"step": 0, "mean": 1, "sem": 0.1, "kl": 2, "kl_k3": 2, "entropy": 1, "length": 9, "distinct_2": 1}
    result = {"mean": 1, "sem": 0.1, "kl": 2, "curve": [point], "scores": [1], "samples": [], "seconds": {"setup": 1}}
    loaded = TrialResult(**result, steps=[stats | {"n_evaluations": 3}], peak_memory_mb=1, seed=0)
    assert loaded.steps[0] == StepStats(**stats, n_evaluations=3)
    assert loaded.auc == 1
