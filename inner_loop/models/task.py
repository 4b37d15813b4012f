"""The task of an inner run: policy, reward model and prompts, embedded or from hub names and folders."""

import json
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

import torch
from torch import nn

from inner_loop.errors import TaskError
from inner_loop.libraries.transformers_internals import is_recurrent
from inner_loop.models.model_source import EMBEDDED, default_device, model_source, why_not_loaded, without_progress_bars
from inner_loop.models.reward_models import RewardModel, as_reward_model, score_responses
from inner_loop.spec import EvaluationConfig, TaskConfig


@dataclass(frozen=True)
class Prompt:
    """A prompt and its policy tokens."""

    text: str
    ids: list[int]


@dataclass(frozen=True)
class Task:
    """Everything loaded."""

    policy: nn.Module
    tokenizer: Any
    reward_model: RewardModel
    train_prompts: list[Prompt]
    evaluation_prompts: list[Prompt]


def load_task(config: TaskConfig, evaluation: EvaluationConfig, *, reward_model: Any = None) -> Task:
    """Load models in float32, on the GPU that PyTorch sees or else on the CPU, and the prompts.

    Args:
        config: What to load.
        evaluation: Which prompts, and how many, the policy is judged on.
        reward_model: Used instead of `config.reward_model`: a callable or an object with `score`.

    Raises:
        TaskError: If a model or a prompt file is missing or unusable; the message names the field and the remedy.
    """
    tokenizer = _load_tokenizer(config.policy)
    train_prompts = load_prompts(config, "train", tokenizer)
    evaluation_prompts = _evaluation_prompts(config, evaluation, tokenizer)
    _refuse_shared(config, evaluation.split, train_prompts, evaluation_prompts)
    _check_context(config, [*train_prompts, *evaluation_prompts])
    return Task(
        policy=_load_policy(config.policy),
        tokenizer=tokenizer,
        reward_model=as_reward_model(
            config.reward_model if reward_model is None else reward_model, chat_template=config.chat_template
        ),
        train_prompts=train_prompts,
        evaluation_prompts=evaluation_prompts,
    )


def check_task(config: TaskConfig, evaluation: EvaluationConfig) -> None:
    """Find out what would make every trial fail, without loading the policy's weights.

    Raises:
        TaskError: If a model or the prompts are missing or unusable.
        RewardModelError: If the reward model does not give one finite score per text.
    """
    tokenizer = _load_tokenizer(config.policy)
    prompts = _evaluation_prompts(config, evaluation, tokenizer)
    train_prompts = load_prompts(config, "train", tokenizer)
    _refuse_shared(config, evaluation.split, train_prompts, prompts)
    _check_context(config, [*train_prompts, *prompts])
    checked = as_reward_model(config.reward_model, chat_template=config.chat_template)
    score_responses(checked, [prompt.text for prompt in prompts[:2]], [" fine"] * len(prompts[:2]))


def load_prompts(config: TaskConfig, split: str, tokenizer: Any) -> list[Prompt]:
    """The prompts of one split, tokenized.

    Raises:
        TaskError: If the file is missing or empty, or a prompt is empty or longer than `config.max_prompt_tokens`.
    """
    folder = files("inner_loop") / "embedded" / "prompts" if config.prompts == EMBEDDED else Path(config.prompts)
    path = folder / f"{split}.jsonl"
    if not path.is_file():
        raise TaskError(f'task.prompts: there is no file {str(path)!r}; expected one {{"prompt": ...}} per line.')
    try:
        content = path.read_text("utf-8-sig")  # Windows begins a file with a byte-order mark
    except (OSError, UnicodeDecodeError) as error:
        raise TaskError(f"task.prompts: {str(path)!r} cannot be read as UTF-8 text: {error}.") from error
    texts = [_read_prompt(line, f"{path}:{number}") for number, line in _numbered_lines(content)]
    if not texts:
        raise TaskError(f"task.prompts: {str(path)!r} holds no prompts.")
    encoded = tokenizer(texts)["input_ids"]
    for number, (text, ids) in enumerate(zip(texts, encoded, strict=True), start=1):
        if len(ids) > config.max_prompt_tokens:
            raise TaskError(
                f"task.prompts: prompt {number} of {str(path)!r} has {len(ids)} tokens, over max_prompt_tokens = "
                f"{config.max_prompt_tokens}; shorten it or raise the limit: {text[:60]!r}."
            )
    return [Prompt(text, ids) for text, ids in zip(texts, encoded, strict=True)]


def _numbered_lines(text: str) -> list[tuple[int, str]]:
    return [(number, line) for number, line in enumerate(text.split("\n"), start=1) if line.strip()]


def _read_prompt(line: str, where: str) -> str:
    try:
        prompt = json.loads(line)["prompt"]
    except (json.JSONDecodeError, KeyError, TypeError) as error:
        raise TaskError(f'task.prompts: {where} is not a JSON object like {{"prompt": "..."}}.') from error
    if not isinstance(prompt, str) or not prompt.strip():
        raise TaskError(f"task.prompts: {where} is an empty prompt; remove the line or write one.")
    return prompt


def _evaluation_prompts(config: TaskConfig, evaluation: EvaluationConfig, tokenizer: Any) -> list[Prompt]:
    prompts = load_prompts(config, evaluation.split, tokenizer)
    if len(prompts) < evaluation.n_prompts:
        raise TaskError(
            f"evaluation.n_prompts is {evaluation.n_prompts}, but the {evaluation.split} split of "
            f"{config.prompts!r} has {len(prompts)} prompts."
        )
    return prompts[: evaluation.n_prompts]


def _refuse_shared(config: TaskConfig, split: str, train: list[Prompt], evaluation: list[Prompt]) -> None:
    """Raise `TaskError` if the policy would be judged on prompts that it is trained on."""
    trained_on = {prompt.text.strip() for prompt in train}
    shared = [prompt.text for prompt in evaluation if prompt.text.strip() in trained_on]
    if shared:
        raise TaskError(
            f"task.prompts: {len(shared)} of the {len(evaluation)} prompts of the {split} split of {config.prompts!r} "
            f"stand in its train split too, so the policy would be judged on what it was trained on; remove them from "
            f"one of the files. The first: {shared[0][:60]!r}."
        )


def _load_tokenizer(name: str) -> Any:
    from transformers import AutoTokenizer

    source = model_source(name, "policy")
    try:
        tokenizer = AutoTokenizer.from_pretrained(source, trust_remote_code=False)
    except (OSError, ValueError) as error:
        raise TaskError(f"task.policy {name!r}: no tokenizer could be loaded: {why_not_loaded(error)}") from error
    if tokenizer.eos_token_id is None:
        raise TaskError(f"task.policy {name!r}: its tokenizer has no end-of-sequence token, which ends responses.")
    return tokenizer


def _check_context(config: TaskConfig, prompts: list[Prompt]) -> None:
    """Raise `TaskError` unless the policy is one we can train, with positions for the longest prompt and response."""
    from transformers import AutoConfig

    try:
        whole = AutoConfig.from_pretrained(model_source(config.policy, "policy"), trust_remote_code=False)
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


def _load_policy(name: str) -> nn.Module:
    from transformers import AutoModelForCausalLM

    source = model_source(name, "policy")
    try:
        # Dropout stays off throughout: with it, the ratio of the first update would not be one.
        with without_progress_bars():
            model: nn.Module = AutoModelForCausalLM.from_pretrained(
                source, dtype=torch.float32, trust_remote_code=False
            ).eval()
    except (OSError, ValueError) as error:
        raise TaskError(f"task.policy {name!r} could not be loaded: {why_not_loaded(error)}") from error
    return model.to(default_device())
