"""A conversation as a tokenizer's chat template writes it."""

from collections.abc import Sequence
from typing import Any

from inner_loop.errors import TaskError
from inner_loop.models.conversation import Message


def write_in_template(tokenizer: Any, messages: Sequence[Message], whose: str, *, is_asked: bool) -> str:
    """The text of a conversation.

    Args:
        tokenizer: Its template is used.
        messages: Of the conversation.
        whose: Names the model in a message.
        is_asked: Whether the template begins an answer behind them.

    Raises:
        TaskError: If the template cannot write such a conversation.
    """
    try:
        # A copy: a template may change what it is given.
        copies = [dict(message) for message in messages]
        return str(tokenizer.apply_chat_template(copies, tokenize=False, add_generation_prompt=is_asked))
    except Exception as error:  # a template is a program of its own, and raises what it likes
        why = (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")
        raise TaskError(
            f"{whose}: its chat template cannot write a conversation of the roles "
            f"{', '.join(str(message['role']) for message in messages)}: {why}."
        ) from error
