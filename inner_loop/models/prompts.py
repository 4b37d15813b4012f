"""Prompts as the policy reads them: rendered in its chat template, tokenised, and none longer than allowed."""

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from inner_loop.errors import TaskError
from inner_loop.models.chat_template import write_in_template
from inner_loop.models.conversation import Conversation, messages_of
from inner_loop.spec import TaskConfig


@dataclass(frozen=True)
class Prompt:
    """A prompt and its policy tokens."""

    text: str
    """What a reward model reads; a `Conversation` has its messages, too."""
    ids: list[int]
    """What the policy reads: the text, or its messages in the chat template."""


class PreparedPrompts(NamedTuple):
    """The prompts of one split, ready for the policy."""

    prompts: list[Prompt]
    n_dropped: int
    """Prompts left out because they were too long."""
    n_truncated: int
    """Prompts that lost their beginning."""


def prepare_prompts(texts: Sequence[str], config: TaskConfig, tokenizer: Any) -> PreparedPrompts:
    """Render and tokenise prompts, and deal with those that are too long as `config.long_prompts` says.

    Raises:
        TaskError: If one is too long and that is an error, or all are; or they cannot be rendered.
    """
    texts = [_in_template(text, config, tokenizer) for text in texts]
    prompts, dropped, truncated = list[Prompt](), 0, 0
    for text, ids in zip(texts, _encode(texts, config, tokenizer), strict=True):
        prompt = Prompt(text, ids)
        if len(ids) > config.max_prompt_tokens:
            if config.long_prompts == "error":
                raise TaskError(
                    f"task.prompts: a prompt of {config.prompts!r} has {len(ids)} tokens, over "
                    f"max_prompt_tokens = {config.max_prompt_tokens}; raise the limit, or choose task.long_prompts: "
                    f"drop or truncate. It begins {text[:60]!r}."
                )
            if config.long_prompts == "drop":
                dropped += 1
                continue
            prompt, truncated = _truncated(prompt, config, tokenizer), truncated + 1
        prompts.append(prompt)
    if not prompts:
        raise TaskError(
            f"task.prompts: all {dropped} prompts of a split of {config.prompts!r} have more than max_prompt_tokens = "
            f"{config.max_prompt_tokens} tokens; raise the limit."
        )
    return PreparedPrompts(prompts, dropped, truncated)


def reads_template(config: TaskConfig, text: str) -> bool:
    """Whether the policy reads a prompt in its chat template."""
    choice = config.policy_chat_template
    return isinstance(text, Conversation) if choice is None else choice


def _in_template(text: str, config: TaskConfig, tokenizer: Any) -> str:
    """The prompt, as messages if that is how the policy reads it."""
    if not reads_template(config, text):
        return text
    if not tokenizer.chat_template:
        raise TaskError(
            f"task.policy {config.policy!r}: its tokenizer has no chat template to read messages in. Give an instruct "
            "model, or choose task.policy_chat_template: false: then it reads the contents of the messages alone."
        )
    return Conversation(messages_of(text))


def _encode(texts: Sequence[str], config: TaskConfig, tokenizer: Any) -> list[list[int]]:
    rendered = [_rendered(text, config, tokenizer) for text in texts]
    # A template writes the special tokens itself.
    ids = [
        iter(tokenizer(group, add_special_tokens=special, verbose=False)["input_ids"] if group else ())
        for special in (True, False)
        for group in [[text for text, is_template in rendered if is_template != special]]
    ]
    return [next(ids[is_template]) for _, is_template in rendered]


def _rendered(text: str, config: TaskConfig, tokenizer: Any) -> tuple[str, bool]:
    """What the policy reads, and whether a template wrote it."""
    if not reads_template(config, text):
        return str(text), False
    return write_in_template(tokenizer, messages_of(text), f"task.policy {config.policy!r}", is_asked=True), True


def _truncated(prompt: Prompt, config: TaskConfig, tokenizer: Any) -> Prompt:
    """Without its oldest turns, and then without the beginning of what is left, so that it fits."""
    text, ids = prompt.text, prompt.ids
    if isinstance(text, Conversation):
        text = _with_turns_that_fit(text, config, tokenizer)
        [ids] = _encode([text], config, tokenizer)
    while (excess := len(ids) - config.max_prompt_tokens) > 0:
        last = text.messages[-1]["content"] if isinstance(text, Conversation) else text
        rest = _without_beginning(last, excess, tokenizer)
        if not rest:
            raise TaskError(
                f"task.max_prompt_tokens: {config.max_prompt_tokens} tokens leave no place for the prompt beside what "
                f"the chat template and the system message take; raise it. The prompt begins {prompt.text[:60]!r}."
            )
        text = text.with_last(rest) if isinstance(text, Conversation) else rest
        [ids] = _encode([text], config, tokenizer)
    return Prompt(text, ids)


def _with_turns_that_fit(text: Conversation, config: TaskConfig, tokenizer: Any) -> Conversation:
    """With as many of its newest turns as fit, the last one in any case."""

    def is_short_enough(n_removed: int) -> bool:
        [ids] = _encode([text.without_oldest_turns(n_removed)], config, tokenizer)
        return len(ids) <= config.max_prompt_tokens

    # Fewer turns have fewer tokens, so that halving finds how many fit.
    n_removed = bisect_left(range(1, text.n_turns), True, key=is_short_enough) + 1
    return text.without_oldest_turns(min(n_removed, text.n_turns - 1))


def _without_beginning(text: str, n_tokens: int, tokenizer: Any) -> str:
    """`text` without its first tokens; empty if it has no more."""
    if not tokenizer.is_fast:
        ids = tokenizer(text, add_special_tokens=False, verbose=False)["input_ids"]
        return str(tokenizer.decode(ids[n_tokens:]))
    offsets = tokenizer(text, add_special_tokens=False, return_offsets_mapping=True, verbose=False)["offset_mapping"]
    # Bytes of one character begin at the same place: of one that is cut, nothing stays.
    return text[next((start for start, _ in offsets[n_tokens:] if start > 0), len(text)) :]
