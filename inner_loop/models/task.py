"""The task of an inner run: policy, reward model and prompts, embedded or from hub names and folders."""

from dataclasses import dataclass, field
from typing import Any

from torch import nn

from inner_loop.errors import TaskError
from inner_loop.libraries.transformers_internals import is_recurrent
from inner_loop.models.conversation import identity
from inner_loop.models.gold import load_gold
from inner_loop.models.model_source import ModelSource, default_device, load_model, model_source, why_not_loaded
from inner_loop.models.prompt_source import PromptSource
from inner_loop.models.prompts import Prompt, prepare_prompts
from inner_loop.models.reward_models import RewardModel, as_reward_model
from inner_loop.spec import EvaluationConfig, PromptCounts, TaskConfig


@dataclass(frozen=True)
class Task:
    """Everything loaded."""

    policy: nn.Module
    tokenizer: Any
    reward_model: RewardModel
    train_prompts: list[Prompt]
    evaluation_prompts: list[Prompt]
    counts: PromptCounts | None = None
    """What became of the prompts; None where they were not read from anywhere."""
    gold: dict[str, RewardModel] = field(default_factory=dict)
    """Reward models that judge, and that nobody trains on."""


@dataclass(frozen=True)
class PolicyAndPrompts:
    """What is known of a policy before its weights are loaded, and the prompts as it reads them."""

    source: ModelSource
    tokenizer: Any
    train_prompts: list[Prompt]
    evaluation_prompts: list[Prompt]
    counts: PromptCounts


def load_task(config: TaskConfig, evaluation: EvaluationConfig, *, reward_model: Any = None) -> Task:
    """Load models in float32, on the GPU that PyTorch sees or else on the CPU, and the prompts.

    Args:
        config: What to load.
        evaluation: Which prompts, and how many, the policy is judged on.
        reward_model: Used instead of `config.reward_model`: a callable or an object with `score`.

    Raises:
        TaskError: If a model or a prompt file is missing or unusable; the message names the field and the remedy.
    """
    prepared = prepare_policy(config, evaluation)
    return Task(
        policy=load_policy(config, prepared.source),
        tokenizer=prepared.tokenizer,
        reward_model=as_reward_model(config.reward_model if reward_model is None else reward_model, config.scoring),
        train_prompts=prepared.train_prompts,
        evaluation_prompts=prepared.evaluation_prompts,
        counts=prepared.counts,
        gold=load_gold(evaluation.gold),
    )


def prepare_policy(config: TaskConfig, evaluation: EvaluationConfig) -> PolicyAndPrompts:
    """Find the policy and prepare the prompts for it, without loading any weights.

    Raises:
        TaskError: If the policy cannot be trained, or the prompts cannot be used.
    """
    source = model_source(config.policy, "policy", config.policy_revision)
    tokenizer = _load_tokenizer(config.policy, source)
    prompts = PromptSource(config)
    train = prepare_prompts(prompts.split("train"), config, tokenizer)
    judged = prepare_prompts(prompts.split(evaluation.split), config, tokenizer)
    if len(judged.prompts) < evaluation.n_prompts:
        raise TaskError(
            f"evaluation.n_prompts is {evaluation.n_prompts}, but the {evaluation.split} split of "
            f"{config.prompts!r} has {len(judged.prompts)} prompts; ask for so many, or give more."
        )
    judged = judged._replace(prompts=judged.prompts[: evaluation.n_prompts])
    apart = _apart(config, evaluation.split, train.prompts, judged.prompts, is_divided=prompts.is_divided)
    n_repeated = prompts.n_repeated + len(train.prompts) - len(apart)
    _check_context(config, source, [*apart, *judged.prompts])
    counts = PromptCounts(
        train=len(apart),
        judged=len(judged.prompts),
        dropped=train.n_dropped + judged.n_dropped,
        truncated=train.n_truncated + judged.n_truncated,
        repeated=n_repeated,
    )
    return PolicyAndPrompts(source, tokenizer, apart, judged.prompts, counts)


def load_policy(config: TaskConfig, source: ModelSource) -> nn.Module:
    """The policy in float32 on its device, an adapter merged into it.

    Raises:
        TaskError: If it cannot be loaded.
    """
    from transformers import AutoModelForCausalLM

    try:
        model, _ = load_model(AutoModelForCausalLM, source)
    except (OSError, ValueError) as error:
        raise TaskError(f"task.policy {config.policy!r} could not be loaded: {why_not_loaded(error)}") from error
    # Dropout stays off throughout: with it, the ratio of the first update would not be one.
    policy: nn.Module = model.eval().to(default_device())
    return policy


def _apart(
    config: TaskConfig, split: str, train: list[Prompt], judged: list[Prompt], *, is_divided: bool
) -> list[Prompt]:
    """The prompts to train on, none of which the policy is judged on.

    What was divided here held no prompt twice; two may have become the same when they lost their beginnings.

    Raises:
        TaskError: If its owner has divided the prompts and some stand on both sides, or none are left.
    """
    trained_on = {identity(prompt.text) for prompt in train}
    shared = [prompt.text for prompt in judged if identity(prompt.text) in trained_on]
    if not shared:
        return train
    if not is_divided:
        raise TaskError(
            f"task.prompts: {len(shared)} of the {len(judged)} prompts of the {split} split of {config.prompts!r} "
            f"stand in its train split too, so the policy would be judged on what it was trained on; remove them from "
            "one of the two, or name one with task.prompts_split, which is then divided. The first: "
            f"{shared[0][:60]!r}."
        )
    held = set(map(identity, shared))
    apart = [prompt for prompt in train if identity(prompt.text) not in held]
    if not apart:
        raise TaskError(
            f"task.max_prompt_tokens: cut to {config.max_prompt_tokens} tokens, the prompts of {config.prompts!r} are "
            "all the same; raise it."
        )
    return apart


def _load_tokenizer(name: str, source: ModelSource) -> Any:
    try:
        tokenizer = source.tokenizer()
    except (OSError, ValueError) as error:
        raise TaskError(f"task.policy {name!r}: no tokenizer could be loaded: {why_not_loaded(error)}") from error
    if tokenizer.eos_token_id is None:
        raise TaskError(f"task.policy {name!r}: its tokenizer has no end-of-sequence token, which ends responses.")
    return tokenizer


def _check_context(config: TaskConfig, source: ModelSource, prompts: list[Prompt]) -> None:
    """Raise `TaskError` unless the policy is one we can train, with positions for the longest prompt and response."""
    from transformers import AutoConfig

    try:
        whole = source.from_pretrained(AutoConfig)
    except (OSError, ValueError) as error:
        raise TaskError(f"task.policy {config.policy!r} could not be found: {why_not_loaded(error)}") from error
    _check_architecture(config.policy, whole)
    policy = whole.get_text_config()
    n_positions = getattr(policy, "max_position_embeddings", None)
    longest = max(len(prompt.ids) for prompt in prompts)
    if n_positions is not None and longest + config.response_tokens > n_positions:
        raise TaskError(
            f"task.policy {config.policy!r} has a context of {n_positions} tokens, and the longest prompt takes "
            f"{longest} and its response up to {config.response_tokens}: shorten the prompts or response_tokens."
        )


def _check_architecture(name: str, config: Any) -> None:
    """Raise `TaskError` for what is known from the configuration alone; `ppo.stepwise` tries the loaded model."""
    from transformers import MODEL_FOR_CAUSAL_LM_MAPPING

    kind = config.model_type
    if config.is_encoder_decoder:
        raise TaskError(f"task.policy {name!r} is an encoder-decoder ({kind}); give a causal language model.")
    if type(config) not in MODEL_FOR_CAUSAL_LM_MAPPING:
        raise TaskError(f"task.policy {name!r} is no causal language model ({kind}); give one that is.")
    if is_recurrent(MODEL_FOR_CAUSAL_LM_MAPPING[type(config)]):
        raise TaskError(
            f"task.policy {name!r} has recurrent layers ({kind}), which cannot be decoded token by token with "
            "left-padded prompts as sampling needs; give a model with attention in every layer."
        )
