"""A conversation as a prompt: messages for whoever has a chat template, plain text for everybody else."""

import json
from collections.abc import Mapping, Sequence
from functools import cached_property
from itertools import takewhile
from typing import Any

from inner_loop.errors import TaskError

Message = Mapping[str, Any]
"""`{"role": "user", "content": "..."}`, and whatever else a template knows."""


class Conversation(str):
    r"""The messages before a response.

    As text, which a reward model without a template reads: their contents in order, a blank line after each.

    >>> Conversation([{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Why?"}])
    'Be brief.\n\nWhy?\n\n'
    """

    messages: tuple[Message, ...]

    def __new__(cls, messages: Sequence[Message]) -> "Conversation":
        """The text of these messages, which keeps them."""
        conversation = super().__new__(cls, "".join(f"{message['content']}\n\n" for message in messages))
        conversation.messages = tuple(messages)
        return conversation

    def __reduce__(self) -> tuple[type["Conversation"], tuple[tuple[Message, ...]]]:
        return Conversation, (self.messages,)

    @property
    def n_turns(self) -> int:
        """Turns, of which each but the first begins with a user's message; templates may insist on that."""
        return len(self._turns)

    def without_oldest_turns(self, count: int) -> "Conversation":
        """Behind the system message, if there is one, only what follows the `count` oldest of `n_turns` turns."""
        return Conversation(self.messages[: self._turns[0]] + self.messages[self._turns[count] :])

    @cached_property
    def _turns(self) -> list[int]:
        """Where turns begin; nothing but system messages stands before the first."""
        first = sum(1 for _ in takewhile(lambda message: message["role"] == "system", self.messages))
        return [first, *(i for i in range(first + 1, len(self.messages)) if self.messages[i]["role"] == "user")]

    def with_last(self, content: str) -> "Conversation":
        """With another content of the last message."""
        return Conversation((*self.messages[:-1], {**self.messages[-1], "content": content}))


def messages_of(prompt: str) -> tuple[Message, ...]:
    """The messages of a prompt; a plain text is a user's."""
    return prompt.messages if isinstance(prompt, Conversation) else ({"role": "user", "content": prompt},)


def identity(prompt: str) -> str:
    """The same for prompts that say the same: who speaks and what, but for white space around it."""
    if isinstance(prompt, Conversation):
        return json.dumps([[message["role"], message["content"].strip()] for message in prompt.messages])
    return prompt.strip()


def check_characters(text: str, where: str) -> str:
    """The text, if it can be written as UTF-8.

    Raises:
        TaskError: If it holds half a character, which JSON can spell.
    """
    try:
        text.encode()
    except UnicodeEncodeError as error:
        half = f"\\u{ord(text[error.start]):04x}"
        raise TaskError(f"task.prompts: {where} holds half a character ({half}); remove it.") from error
    return text


def read_conversation(messages: Sequence[Any], where: str) -> Conversation:
    """The conversation that a dataset has written down.

    If it ends with an answer, that is what is to be learned, and no part of the prompt.

    Args:
        messages: As they stand in the dataset; a content may be a list of parts that are texts.
        where: Names the place in a message.

    Raises:
        TaskError: If there is no message to answer, or one is none.
    """
    read: list[Message] = []
    for message in messages:
        if not isinstance(message, Mapping) or not isinstance(message.get("role"), str):
            raise TaskError(
                f'task.prompts: {where} holds {str(message)[:60]!r} where a message like {{"role": "user", "content": '
                '"..."} was expected.'
            )
        present = {key: value for key, value in message.items() if value is not None}
        read.append(present | {"content": _content(message.get("content"), where)})
    if read and read[-1]["role"] == "assistant":
        read.pop()
    if not any(message["content"].strip() for message in read if message["role"] != "system"):
        raise TaskError(f"task.prompts: {where} has no message that could be answered; remove it or write one.")
    return Conversation(read)


def _content(content: Any, where: str) -> str:
    if content is None:
        return ""
    if isinstance(content, str):
        return check_characters(content, where)
    if isinstance(content, Sequence) and all(
        isinstance(part, Mapping) and part.get("type") == "text" for part in content
    ):
        return check_characters("".join(str(part.get("text", "")) for part in content), where)
    raise TaskError(f"task.prompts: {where} has a message that is not only text, which is all that can be read here.")
