"""Models stay loaded between the trials of one process: a later trial resets the weights instead of reading files.

One set is kept, the last one used. A trial takes it and gives it back, so two trials that run side by side in one
process never share weights. `reset()` puts the start weights back bit for bit, so a result does not depend on what was
trained before; a model folder that changed on disk is loaded anew.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from inner_loop.models.task import Task, load_task
from inner_loop.ppo.actor_critic import ActorCritic
from inner_loop.spec import PPOConfig, TrialSpec


@dataclass(frozen=True)
class LoadedModels:
    """What a trial trains and is judged with."""

    task: Task
    actor_critic: ActorCritic


_idle: dict[object, LoadedModels] = {}


@contextmanager
def borrowed_models(spec: TrialSpec, *, reward_model: Any = None) -> Iterator[LoadedModels]:
    """The models of `spec` at their start weights, loaded or reset; given back at the end.

    Args:
        spec: What to load, and how it is trained.
        reward_model: Used instead of `spec.task.reward_model`.

    Raises:
        TaskError: If a model or the prompts cannot be used.
    """
    key = _key(spec, reward_model)
    models = _idle.pop(key, None)
    drop_loaded_models()  # those of another task, before memory is taken for this one's
    if models is None:
        task = load_task(spec.task, spec.evaluation, reward_model=reward_model)
        models = LoadedModels(task, make_actor_critic(task, spec.ppo))
    else:
        models.actor_critic.reset()
    try:
        yield models
    finally:
        drop_loaded_models()
        _idle[key] = models


def drop_loaded_models() -> None:
    """Free the memory of the models that no trial uses."""
    _idle.clear()


def make_actor_critic(task: Task, config: PPOConfig) -> ActorCritic:
    """The task's policy with its critic and reference, trained in the way that `config` says."""
    return ActorCritic(
        task.policy,
        precision=config.precision,
        trainable_layers=config.trainable_layers,
        lora_rank=config.lora_rank,
        critic=config.critic if config.algorithm == "ppo" else "none",
        gradient_checkpointing=config.gradient_checkpointing,
    )


def _key(spec: TrialSpec, reward_model: Any) -> object:
    """Equal for trials that can share models; the models keep `reward_model` alive, so its id stays its own."""
    ppo = spec.ppo
    training = (ppo.precision, ppo.trainable_layers, ppo.lora_rank, ppo.critic, ppo.algorithm == "ppo")
    gold = spec.evaluation.gold
    sources = [
        spec.task.policy,
        spec.task.prompts,
        *gold.values(),
        *([spec.task.reward_model] if reward_model is None else []),
    ]
    return (
        spec.task.model_dump_json(),
        spec.evaluation.n_prompts,
        spec.evaluation.split,
        tuple(gold.items()),
        training,
        ppo.gradient_checkpointing,
        None if reward_model is None else id(reward_model),
        tuple(_last_change(Path(source).expanduser()) for source in sources),
    )


def _last_change(path: Path) -> int:
    """When the file, or one in the folder, last changed, in nanoseconds; 0 if there is none."""
    files = [path] if path.is_file() else path.glob("*")
    return max((file.stat().st_mtime_ns for file in files), default=0)
