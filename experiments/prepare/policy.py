"""The policy to start from: a language model that has read the good answers once or twice."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from experiments.prepare.pairs import Demonstration, PrepareError
from experiments.prepare.training import Settings, arguments, own_randomness, quiet, train
from inner_loop.errors import TaskError
from inner_loop.models.conversation import Conversation, messages_of
from inner_loop.models.model_source import load_model, model_source, why_not_loaded
from inner_loop.models.prompts import prepare_prompts
from inner_loop.spec import TaskConfig

LEARNING_RATES = 1e-3, 2e-5
"""Of a small and a large model."""

MOST_TOKENS = 512
"""Prompt and response together; models with a shorter context take less."""

USUAL_RESPONSE = 0.9
"""Share of the answers that fit into the response tokens of the study."""

PLAIN_TEMPLATE = (
    "{% for message in messages %}{{ message['role'] }}: {{ message['content'] }}"
    "{% if message['role'] == 'assistant' %}{{ eos_token }}{% endif %}{{ '\\n' }}{% endfor %}"
    "{% if add_generation_prompt %}assistant: {% endif %}"
)
"""What a policy without a chat template reads conversations in; it learns it with the answers."""


@dataclass(frozen=True)
class Lengths:
    """How many policy tokens prompts and responses may take in the study."""

    prompt: int
    response: int


@dataclass(frozen=True)
class Start:
    """The model that becomes the policy."""

    model: Any
    tokenizer: Any


def load_start(name: str, prompts: Sequence[str]) -> Start:
    """The causal language model `name`, with a chat template if `prompts` need one.

    Args:
        name: `embedded`, a folder or a hub name; an adapter is merged into its base.
        prompts: What it will read.

    Raises:
        PrepareError: If it cannot be loaded, or its tokenizer cannot be used.
    """
    from transformers import AutoModelForCausalLM

    try:
        source = model_source(name, "policy")
        model, missing = load_model(AutoModelForCausalLM, source)
        tokenizer = source.tokenizer()
    except TaskError as error:
        raise PrepareError(str(error)) from error
    except (OSError, ValueError) as error:
        raise PrepareError(f"--policy {name!r} could not be loaded: {why_not_loaded(error)}.") from error
    if missing is not None:
        raise PrepareError(f"--policy {name!r} is no language model: it has no weights for {missing}.")
    if tokenizer.eos_token_id is None:
        raise PrepareError(f"--policy {name!r}: its tokenizer has no end-of-sequence token, which ends responses.")
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token
    if not tokenizer.chat_template and any(isinstance(prompt, Conversation) for prompt in prompts):
        tokenizer.chat_template = PLAIN_TEMPLATE
    return Start(model, tokenizer)


def encoded(start: Start, examples: Sequence[Demonstration]) -> tuple[list[dict[str, list[int]]], Lengths]:
    """Token ids and labels of prompt and answer, as the policy of a study reads and writes them.

    The answer ends with the end-of-sequence token; an answer that does not fit is cut, and does not end. The labels of
    the prompt are -100: it is not learned.

    Raises:
        PrepareError: If a prompt or answer cannot be written in the chat template.
    """
    answers = [_answer_ids(start.tokenizer, example) for example in examples]
    limit = min(MOST_TOKENS, getattr(start.model.config.get_text_config(), "max_position_embeddings", MOST_TOKENS))
    n_response = int(min(np.quantile([len(ids) for ids in answers], USUAL_RESPONSE), limit // 2))
    task = TaskConfig(max_prompt_tokens=limit - n_response, long_prompts="truncate")
    try:
        prepared = prepare_prompts([example.prompt for example in examples], task, start.tokenizer)
    except TaskError as error:
        raise PrepareError(f"A prompt cannot be read by this policy: {error}") from error
    prompts = [prompt.ids for prompt in prepared.prompts]
    rows = [
        {"input_ids": (prompt + answer)[:limit], "labels": ([-100] * len(prompt) + answer)[:limit]}
        for prompt, answer in zip(prompts, answers, strict=True)
    ]
    return rows, Lengths(prompt=max(map(len, prompts)), response=max(1, n_response))


def train_policy(
    start: Start,
    trained: Sequence[Demonstration],
    heldout: Sequence[Demonstration],
    settings: Settings,
    work: Path,
    folder: Path,
) -> tuple[float, float]:
    """Train with trl's `SFTTrainer` and save into `folder`; what an interrupted training left in `work` is used.

    Returns:
        Nats per token of held-out answers, before and after.
    """
    from datasets import Dataset
    from transformers import PrinterCallback
    from trl import SFTConfig, SFTTrainer

    rows, _ = encoded(start, [*trained, *heldout])
    with own_randomness(), quiet():
        trainer: Any = SFTTrainer(
            model=start.model,
            args=SFTConfig(
                **arguments(settings, start.model, len(trained), work, LEARNING_RATES),
                max_length=None,
                prediction_loss_only=True,
            ),
            train_dataset=Dataset.from_list(rows[: len(trained)]),
            eval_dataset=Dataset.from_list(rows[len(trained) :]),
            processing_class=start.tokenizer,
        )
        trainer.remove_callback(PrinterCallback)
        before = float(trainer.evaluate()["eval_loss"])
        train(trainer, work, "policy")
        after = float(trainer.evaluate()["eval_loss"])
        start.model.eval().save_pretrained(folder)
    start.tokenizer.save_pretrained(folder)
    return before, after


def _answer_ids(tokenizer: Any, example: Demonstration) -> list[int]:
    text = example.answer
    if isinstance(example.prompt, Conversation):
        messages = [dict(message) for message in messages_of(example.prompt)]
        asked = tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
        answered = tokenizer.apply_chat_template(
            [*messages, {"role": "assistant", "content": example.answer}], tokenize=False
        )
        if not answered.startswith(asked):
            raise PrepareError(
                "The policy's chat template does not write an answer where it asks for one, so no answer can be "
                "learned; give --policy another model."
            )
        text = answered[len(asked) :]
    ids = list(tokenizer(text, add_special_tokens=False, verbose=False)["input_ids"])
    end = tokenizer.eos_token_id
    # A template may write a line break after the end, which the policy is never asked for.
    return [*ids[: ids.index(end)], end] if end in ids else [*ids, end]
