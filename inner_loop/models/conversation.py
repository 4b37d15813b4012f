"""A conversation as a prompt: messages for whoever has a chat template, plain text for everybody else."""

from collections.abc import Mapping, Sequence
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

    def without_oldest_turn(self) -> "Conversation | None":
        """Without the oldest message that is no system message; None if only the last one is left."""
        turns = [index for index, message in enumerate(self.messages) if message["role"] != "system"]
        if len(turns) < 2:
            return None
        return Conversation(self.messages[: turns[0]] + self.messages[turns[0] + 1 :])

    def with_last(self, content: str) -> "Conversation":
        """With another content of the last message."""
        return Conversation((*self.messages[:-1], {**self.messages[-1], "content": content}))


def messages_of(prompt: str) -> tuple[Message, ...]:
    """The messages of a prompt; a plain text is a user's."""
    return prompt.messages if isinstance(prompt, Conversation) else ({"role": "user", "content": prompt},)


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
        return content
    if isinstance(content, Sequence) and all(
        isinstance(part, Mapping) and part.get("type") == "text" for part in content
    ):
        return "".join(str(part.get("text", "")) for part in content)
    raise TaskError(f"task.prompts: {where} has a message that is not only text, which is all that can be read here.")
