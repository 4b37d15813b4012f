"""YAML text as plain data; what cannot be read is said in words, with its line."""

from typing import Any

import yaml
from yaml.constructor import ConstructorError
from yaml.reader import ReaderError

_IN_WORDS = {
    "mapping values are not allowed here": "a colon cannot stand here; put a text that has one in quotes",
    "could not determine a constructor for the tag": "only plain data is read, so leave out the tag",
    "found unhashable key": "a list or a section cannot be a key",
    "character '\\t' that cannot start any token": "a tab; indent with spaces",
    "that cannot start any token": "with which no value begins; put the text in quotes",
    "found unexpected end of stream": "a quote is not closed",
    "expected the node content": "expected a value",
    "second occurrence": "an anchor has this name already",
    "but found another document": "a second document begins; a file holds one",
    "'<stream end>'": "the end of the text",
    "<stream end>": "the end of the text",
    "<block end>": "the end of the section",
    "'<scalar>'": "a value",
    "tag:yaml.org,2002:": "!!",
}
"""What PyYAML's parser says -> what it means to somebody who does not know parsers."""


class YAMLTextError(ValueError):
    """Text that is not YAML, or that is more than plain data; the message has no full stop."""


class _Loader(yaml.SafeLoader):
    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
        """As PyYAML, which does not say where an impossible date or number stands."""
        try:
            return super().construct_object(node, deep)
        except ValueError:
            what = f"{node.value} looks like a date or a number and is none; put it in quotes if it is a text"
            raise ConstructorError(None, None, what, node.start_mark) from None

    def flatten_mapping(self, node: yaml.MappingNode) -> None:
        """As PyYAML, which lets the last of two equal keys win without a word."""
        lines: dict[tuple[str, str], int] = {}
        for key, _ in node.value:
            # Merging a section in twice is no mistake, and a key of several values is refused elsewhere.
            if not isinstance(key, yaml.ScalarNode) or key.tag == "tag:yaml.org,2002:merge":
                continue
            if (key.tag, key.value) in lines:
                first = lines[key.tag, key.value]
                what = f"{key.value} was set on line {first} already; leave one of the two out"
                raise ConstructorError(None, None, what, key.start_mark)
            lines[key.tag, key.value] = key.start_mark.line + 1
        super().flatten_mapping(node)


def read_yaml(text: str) -> Any:
    """The data in the text.

    >>> read_yaml("budget: {trials: 3}")
    {'budget': {'trials': 3}}

    Raises:
        YAMLTextError: Saying where and why, if it cannot be read.
    """
    try:
        return yaml.load(text, _Loader)  # noqa: S506 (a safe one)
    except ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise YAMLTextError(f"line {line} has a character that cannot be shown; remove it") from None
    except yaml.MarkedYAMLError as error:
        what = error.problem or "it cannot be read"
        for said, meant in _IN_WORDS.items():
            what = what.replace(said, meant)
        mark = error.problem_mark
        raise YAMLTextError(f"line {mark.line + 1}, column {mark.column + 1}: {what}" if mark else what) from None
    except RecursionError:
        raise YAMLTextError("it is nested too deeply") from None
