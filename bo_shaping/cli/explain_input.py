"""What `bo-shaping explain` is asked for, checked before anything is loaded: each error says where and what to do."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bo_shaping.config.explain_choices import LONG_RESPONSES, MASKINGS, METHODS, MIN_BUDGET, UNITS
from bo_shaping.errors import ExplainInputError
from inner_loop.io.schema import nearest

_EXAMPLE = '{"prompt": "...", "response": "..."}'


def read_texts(prompt: str | None, response: str | None, file: Path | None) -> tuple[list[str], list[str]]:
    """Prompts and responses, from the command line or from the lines of a file.

    Args:
        prompt: Prompt of `response`; none is an empty one.
        response: The one response to explain.
        file: JSON lines, each with the texts `prompt` and `response`; blank lines and other keys are passed over.

    Raises:
        ExplainInputError: If both or neither is given, or a line of the file cannot be used.
    """
    if file is not None:
        if prompt is not None or response is not None:
            raise ExplainInputError("Give either --file or --response (with --prompt), not both.")
        return _read_lines(file)
    if response is None:
        raise ExplainInputError(f"Give --response TEXT (with --prompt), or --file F.jsonl with lines like {_EXAMPLE}.")
    for option, text in (("--prompt", prompt), ("--response", response)):
        if text is not None and not _is_unicode(text):
            raise ExplainInputError(f"{option} is not valid UTF-8.")
    return [prompt or ""], [response]


def check_settings(
    methods: Sequence[str], units: str, masking: str, budget: int, long_responses: str, html: Path | None
) -> None:
    """Raise an `ExplainInputError` about the first setting that does not exist or cannot work."""
    chosen = [*(("--method", method, METHODS) for method in methods), ("--units", units, UNITS)]
    chosen += [("--masking", masking, MASKINGS), ("--long-responses", long_responses, LONG_RESPONSES)]
    for option, value, choices in chosen:
        if value not in choices:
            raise ExplainInputError(
                f"{option} {value!r} does not exist, did you mean {nearest(value, choices)!r}? "
                f"There are {', '.join(choices)}."
            )
    if budget < MIN_BUDGET:
        raise ExplainInputError(
            f"--budget must be at least {MIN_BUDGET}, the full and the empty response, got {budget}."
        )
    if html is not None and not html.absolute().parent.is_dir():
        raise ExplainInputError(f"--html: there is no folder {html.absolute().parent}; create it first.")
    if html is not None and html.is_dir():
        raise ExplainInputError(f"--html: {html} is a folder; name a file in it.")


def _read_lines(file: Path) -> tuple[list[str], list[str]]:
    try:
        lines = file.read_bytes().removeprefix(b"\xef\xbb\xbf").split(b"\n")
    except FileNotFoundError as error:
        raise ExplainInputError(f"There is no file {file}.") from error
    except OSError as error:
        raise ExplainInputError(f"{file} cannot be read: {error.strerror}.") from error
    pairs = [_read_line(line, f"{file}:{number}") for number, line in enumerate(lines, start=1) if line.strip()]
    if not pairs:
        raise ExplainInputError(f"{file} is empty; write lines like {_EXAMPLE}.")
    return [prompt for prompt, _ in pairs], [response for _, response in pairs]


def _read_line(line: bytes, where: str) -> tuple[str, str]:
    try:
        row = json.loads(line.decode("utf-8"))
    except UnicodeDecodeError as error:
        raise ExplainInputError(f"{where} is not UTF-8; save the file as UTF-8.") from error
    except (ValueError, RecursionError) as error:
        # Its own message would name line 1, of the one line that it was given.
        what = f"{error.msg} at column {error.colno}" if isinstance(error, json.JSONDecodeError) else str(error)
        raise ExplainInputError(f"{where} is not JSON ({what}); write one object per line: {_EXAMPLE}.") from error
    if not isinstance(row, dict):
        raise ExplainInputError(f"{where} is not a JSON object; write one per line: {_EXAMPLE}.")
    return _text(row, "prompt", where), _text(row, "response", where)


def _text(row: dict[str, Any], key: str, where: str) -> str:
    if key not in row:
        keys = f"only {', '.join(map(repr, row))}" if row else "nothing"
        raise ExplainInputError(f"{where} has no {key!r}, {keys}; a line looks like {_EXAMPLE}.")
    text = row[key]
    if not isinstance(text, str):
        raise ExplainInputError(f"{where}: {key!r} is not a text; put it in quotes.")
    if not _is_unicode(text):
        raise ExplainInputError(f"{where}: {key!r} has half of a surrogate pair (\\ud800 to \\udfff); remove it.")
    return text


def _is_unicode(text: str) -> bool:
    """Whether it can be encoded: a lone surrogate, from an escape or a mangled command line, cannot."""
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True
