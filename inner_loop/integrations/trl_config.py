"""What a trial's `ppo` section says, in TRL's words: `GRPOConfig`.

| `ppo` | `GRPOConfig` |
|---|---|
| `steps` | `max_steps`, times the optimizer steps of a rollout |
| `rollout_size` | `generation_batch_size` |
| `samples_per_prompt` | `num_generations` |
| `minibatch_size`, `accumulate` | `per_device_train_batch_size` x processes x `gradient_accumulation_steps` |
| `epochs` | `num_iterations` |
| `learning_rate` | `learning_rate`, constant |
| `kl_coef` | `beta`: TRL prices k3 in the loss, beside advantages that `grpo` scales to deviation one; in other units |
| `algorithm` | `grpo`: `scale_rewards` of the group; `rloo`: none, and leave-one-out advantages |
| `clip_range` | `epsilon` |
| `max_grad_norm`, `temperature`, `top_k`, `top_p`, `gradient_checkpointing` | the same |
| `precision` | `bf16`; `auto` is float32 on a CPU |

`gae_lambda` (the decay of reward-to-go), `to_sparse`, `max_kl` and `stop_at_kl` mean what they mean in our own
training. What has no counterpart is refused unless it is left at its default, and what belongs to a critic is not
looked at, as in our own `grpo`.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from trl import GRPOConfig

from inner_loop.errors import TaskError
from inner_loop.io.schema import nearest
from inner_loop.models.task_check import check_task
from inner_loop.processes import n_processes
from inner_loop.spec import EvaluationConfig, PPOConfig, TaskConfig, TrialSpec

NO_COUNTERPART = {
    "kl_estimator": "prices the k3 estimate, in its loss",
    "adaptive_kl": "keeps the price of KL as it is",
    "gamma": "does not discount",
    "centre_credit": "has no worths of tokens",
    "reward_scale": "scales by the group",
    "missing_eos": "pays a cut response as any other",
    "target_kl": "makes all passes over a rollout",
    "trainable_layers": "trains all layers",
    "lora_rank": "is given the whole policy here",
}
"""Fields that must be left at their defaults, and what TRL does instead."""

OF_A_CRITIC = {"critic", "critic_lambda", "value_clip_range", "value_coef"}
"""Fields that say nothing where there is no critic."""

SAYS_NOTHING_ALONE = {"adaptive_kl_horizon", "missing_eos_penalty"}
"""Fields that belong to one that is off."""


def steps_per_rollout(ppo: PPOConfig) -> int:
    """Optimizer steps on one rollout."""
    return ppo.epochs * ppo.rollout_size // ppo.minibatch_size


def grpo_config(
    spec: TrialSpec, folder: Path, *, checkpoint_every: int | None, options: Mapping[str, Any]
) -> GRPOConfig:
    """TRL's configuration of a trial.

    Args:
        spec: The trial.
        folder: Where TRL keeps what it writes.
        checkpoint_every: Steps between two checkpoints; None for none.
        options: Fields of `GRPOConfig` besides those that follow from the spec.

    Raises:
        TaskError: If the spec asks for what TRL does not do, or an option does not exist or follows from the spec.
    """
    check_ppo(spec.ppo)
    ppo, per_rollout = spec.ppo, steps_per_rollout(spec.ppo)
    parts = ppo.accumulate * n_processes()
    if ppo.minibatch_size % parts:
        raise TaskError(
            f"ppo.minibatch_size {ppo.minibatch_size} cannot be divided among {n_processes()} processes in "
            f"{ppo.accumulate} parts (ppo.accumulate) each."
        )
    on_gpu = torch.cuda.is_available()
    of_the_spec: dict[str, Any] = {
        "output_dir": str(folder),
        "seed": spec.seed,
        "max_steps": ppo.steps * per_rollout,
        "generation_batch_size": ppo.rollout_size,
        "num_generations": ppo.samples_per_prompt,
        "per_device_train_batch_size": ppo.minibatch_size // parts,
        "gradient_accumulation_steps": ppo.accumulate,
        "num_iterations": ppo.epochs,
        "learning_rate": ppo.learning_rate,
        "lr_scheduler_type": "constant",
        "beta": ppo.kl_coef,
        "scale_rewards": "group" if ppo.algorithm == "grpo" else "none",
        "epsilon": ppo.clip_range,
        "max_grad_norm": ppo.max_grad_norm,
        "temperature": ppo.temperature,
        "top_k": ppo.top_k or 0,
        "top_p": ppo.top_p,
        "max_completion_length": spec.task.response_tokens,
        "gradient_checkpointing": ppo.gradient_checkpointing,
        "shuffle_dataset": False,  # the rows are in the order in which they were drawn
        "logging_steps": 1,
        "logging_nan_inf_filter": False,
        "save_strategy": "no" if checkpoint_every is None else "steps",
        "save_steps": (checkpoint_every or 1) * per_rollout,
        "save_total_limit": 2,
        "eval_strategy": "no",
    }
    by_default: dict[str, Any] = {
        "bf16": ppo.precision == "bfloat16" or (ppo.precision == "auto" and on_gpu and torch.cuda.is_bf16_supported()),
        "use_cpu": not on_gpu,
        "disable_dropout": True,
        "report_to": [],
        "disable_tqdm": True,
    }
    for name in options:
        if name in of_the_spec:
            raise TaskError(f"options: {name} of TRL follows from the trial's spec; leave it out.")
        if name not in GRPOConfig.__dataclass_fields__:
            raise TaskError(
                f"options: TRL has no {name!r}, did you mean {nearest(name, list(GRPOConfig.__dataclass_fields__))!r}?"
            )
    try:
        return GRPOConfig(**of_the_spec, **(by_default | dict(options)))
    except (TypeError, ValueError) as error:
        raise TaskError(f"TRL does not accept this configuration: {str(error).rstrip('.')}.") from error


def check_trial(task: TaskConfig, evaluation: EvaluationConfig, ppo: PPOConfig) -> list[str]:
    """What a study asks before its first trial: what is worth knowing of the task, in sentences.

    Raises:
        TaskError: If the section asks for what TRL's trainer does not do, or a model or the prompts are unusable.
    """
    check_ppo(ppo)
    return check_task(task, evaluation)


def check_ppo(ppo: PPOConfig, advantage: str = "reward_to_go") -> None:
    """Raise `TaskError` if the section asks for what TRL's trainer does not do with this kind of advantage."""
    if ppo.algorithm == "ppo":
        raise TaskError(
            "ppo.algorithm 'ppo' has a critic, which TRL's trainer has not; choose grpo or rloo, and "
            "ppo.samples_per_prompt of two or more."
        )
    usual = PPOConfig()
    for name, instead in NO_COUNTERPART.items():
        if getattr(ppo, name) != getattr(usual, name):
            raise TaskError(
                f"ppo.{name} {getattr(ppo, name)!r} has no counterpart in TRL, which {instead}; leave it at "
                f"{getattr(usual, name)!r}."
            )
    for name, usual_values in (("gae_lambda", (usual.gae_lambda, 1.0)), ("to_sparse", (0.0,))):
        if advantage == "weights" and getattr(ppo, name) not in usual_values:
            raise TaskError(
                f"ppo.{name} {getattr(ppo, name)!r} says nothing where advantage is 'weights'; leave it out, or take "
                "'reward_to_go'."
            )
