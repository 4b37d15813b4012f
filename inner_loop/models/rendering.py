"""What a reward model reads of a prompt and its response, where that is not the two joined."""

from collections.abc import Callable
from typing import Any

from inner_loop.models.chat_template import write_in_template
from inner_loop.models.conversation import Conversation, messages_of
from inner_loop.spec import JudgeConfig

Render = Callable[[str, str], str | None]
"""`(prompt, response) -> text` in which the response stands, or one part of it; None where they are joined instead."""


def in_chat_template(tokenizer: Any, choice: bool | None) -> Render:
    """Prompt and response as messages, the response an assistant's.

    Args:
        tokenizer: Its template is used.
        choice: Whether to; None does it for conversations, if there is a template.
    """

    def render(prompt: str, response: str) -> str | None:
        if choice is False or (choice is None and not (tokenizer.chat_template and isinstance(prompt, Conversation))):
            return None
        messages = [*messages_of(prompt), {"role": "assistant", "content": response}]
        return write_in_template(tokenizer, messages, "task.reward_model", is_asked=False)

    return render


def as_question(tokenizer: Any, judge: JudgeConfig) -> Render:
    """A judge's question, ready to be answered: a user's message if its tokenizer has a chat template."""
    before, after = judge.prompt.split("{response}")

    def render(prompt: str, response: str) -> str:
        text = before.replace("{prompt}", prompt) + response + after.replace("{prompt}", prompt)
        if not tokenizer.chat_template:
            return text
        return write_in_template(tokenizer, messages_of(text), "task.reward_model", is_asked=True)

    return render
