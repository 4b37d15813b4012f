import pytest

from inner_loop.errors import TaskError
from inner_loop.integrations.trl_config import (
    NO_COUNTERPART,
    OF_A_CRITIC,
    SAYS_NOTHING_ALONE,
    check_ppo,
    grpo_config,
    steps_per_rollout,
)
from inner_loop.spec import PPOConfig, TrialSpec

GRPO = {"algorithm": "grpo", "samples_per_prompt": 2}


def config_of(tmp_path, options=None, checkpoint_every=None, **ppo):
    spec = TrialSpec(weights={"sparse": 1.0}, ppo=GRPO | ppo, seed=7)
    return grpo_config(spec, tmp_path, checkpoint_every=checkpoint_every, options=options or {})


def test_sizes_are_trls(tmp_path):
    config = config_of(tmp_path, rollout_size=24, minibatch_size=8, accumulate=2, epochs=3, steps=5)
    assert config.generation_batch_size == 24
    assert config.num_generations == 2
    assert config.per_device_train_batch_size * config.gradient_accumulation_steps == 8
    assert config.steps_per_generation * config.num_iterations == 6 * 3
    # 3 minibatches, 3 passes, 5 steps.
    assert config.max_steps == 45
    assert steps_per_rollout(PPOConfig(**GRPO, rollout_size=24, minibatch_size=8, epochs=3)) == 9


@pytest.mark.parametrize(
    ("ppo", "theirs", "value"),
    [
        ({"learning_rate": 3e-4}, "learning_rate", 3e-4),
        ({"kl_coef": 0.3}, "beta", 0.3),
        ({"clip_range": 0.1}, "epsilon", 0.1),
        ({"temperature": 0.7}, "temperature", 0.7),
        ({"top_k": 5}, "top_k", 5),
        ({"top_p": 0.9}, "top_p", 0.9),
        ({"max_grad_norm": 2.0}, "max_grad_norm", 2.0),
        ({"gradient_checkpointing": True}, "gradient_checkpointing", True),
        ({"precision": "bfloat16"}, "bf16", True),
        ({"precision": "float32"}, "bf16", False),
        ({"algorithm": "rloo"}, "scale_rewards", "none"),
        ({}, "scale_rewards", "group"),
        ({}, "seed", 7),
    ],
)
def test_every_field_with_a_counterpart_arrives(tmp_path, ppo, theirs, value):
    assert getattr(config_of(tmp_path, **ppo), theirs) == value


def test_no_field_of_ppo_is_forgotten():
    arrive = {
        "algorithm", "steps", "rollout_size", "samples_per_prompt", "minibatch_size", "accumulate", "epochs",
        "learning_rate", "kl_coef", "gae_lambda", "to_sparse", "clip_range", "max_grad_norm", "temperature", "top_k",
        "top_p", "max_kl", "stop_at_kl", "precision", "gradient_checkpointing",
    }  # fmt: skip
    groups = [arrive, set(NO_COUNTERPART), OF_A_CRITIC, SAYS_NOTHING_ALONE]
    assert set.union(*groups) == set(PPOConfig.model_fields)
    assert sum(map(len, groups)) == len(PPOConfig.model_fields)


@pytest.mark.parametrize(
    "ppo",
    [
        {"kl_estimator": "k3"},
        {"adaptive_kl": 3.0},
        {"gamma": 0.9},
        {"centre_credit": True, "algorithm": "rloo"},
        {"reward_scale": "running"},
        {"missing_eos": "penalty"},
        {"target_kl": 0.1},
        {"trainable_layers": 1},
        {"lora_rank": 4},
    ],
)
def test_what_trl_does_not_do_is_refused(tmp_path, ppo):
    [name] = [name for name in ppo if name != "algorithm"]
    with pytest.raises(TaskError, match=rf"ppo\.{name} .* has no counterpart in TRL, which .*; leave it at "):
        config_of(tmp_path, **ppo)
    assert name in NO_COUNTERPART


def test_a_critic_is_refused_and_what_belongs_to_one_is_not_looked_at():
    with pytest.raises(TaskError, match=r"choose grpo or rloo, and ppo\.samples_per_prompt of two or more"):
        check_ppo(PPOConfig())
    check_ppo(PPOConfig(**GRPO, value_coef=0.3, critic="separate"))


def test_options_are_what_the_spec_does_not_say(tmp_path):
    assert config_of(tmp_path, {"loss_type": "dr_grpo", "bf16": False}).loss_type == "dr_grpo"
    with pytest.raises(TaskError, match="beta of TRL follows from the trial's spec"):
        config_of(tmp_path, {"beta": 0.1})
    with pytest.raises(TaskError, match="TRL has no 'los_type', did you mean 'loss_type'"):
        config_of(tmp_path, {"los_type": "grpo"})
    with pytest.raises(TaskError, match=r"TRL does not accept this configuration: .*vllm"):
        config_of(tmp_path, {"vllm_importance_sampling_clip_min": 3.0, "vllm_importance_sampling_clip_max": 1.0})


def test_checkpoints_come_at_the_end_of_a_step(tmp_path):
    assert config_of(tmp_path).save_strategy == "no"
    config = config_of(tmp_path, checkpoint_every=3, epochs=2)
    assert (config.save_strategy, config.save_steps) == ("steps", 6)


@pytest.mark.parametrize("ppo", [{"gae_lambda": 0.8}, {"to_sparse": 0.5}])
def test_what_weights_have_no_use_for_is_refused_with_them(ppo):
    check_ppo(PPOConfig(**GRPO), "weights")
    check_ppo(PPOConfig(**GRPO, **ppo), "reward_to_go")
    [name] = ppo
    with pytest.raises(TaskError, match=rf"ppo\.{name} .* says nothing where advantage is 'weights'"):
        check_ppo(PPOConfig(**GRPO, **ppo), "weights")
