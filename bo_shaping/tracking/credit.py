"""The credit of a response as text, rows and plain data, for trackers that show more than numbers."""

from bo_shaping.text.hidden_characters import visible_text
from inner_loop.spec import ExplainedResponse

MOST_TOKENS = 1000
"""Tokens of a response that are listed; the rest are counted."""


def credit_columns(sample: ExplainedResponse) -> list[str]:
    """Heads of `credit_rows`."""
    return ["token", *sample.components, "paid"]


def credit_rows(sample: ExplainedResponse) -> list[list[str | float]]:
    """One row per token: its text, what each component gave it, and what it was paid."""
    columns = [sample.components[name] for name in sample.components]
    rows = zip(sample.tokens, *columns, sample.rewards, strict=True)
    return [[visible_text(str(text)), *values] for text, *values in rows][:MOST_TOKENS]


def credit_markdown(sample: ExplainedResponse) -> str:
    """Prompt, response and a table of its tokens, in Markdown in which no text of the model is markup."""
    head = credit_columns(sample)
    lines = [f"| {' | '.join(map(_cell, head))} |", f"|{'---|' * len(head)}"]
    lines += [f"| {' | '.join(map(_cell, row))} |" for row in credit_rows(sample)]
    n_more = len(sample.tokens) - MOST_TOKENS
    more = [f"\n{n_more} more tokens are not listed."] if n_more > 0 else []
    facts = f"score {sample.score:.4g}, without the response {sample.base_value:.4g}"
    return "\n".join(
        [f"prompt: {_cell(sample.prompt)}\n", f"response: {_cell(sample.response)}\n", facts, "", *lines, *more]
    )


def credit_data(sample: ExplainedResponse) -> dict[str, object]:
    """The response with its credit as plain data."""
    return {**sample.model_dump(exclude={"prompt", "response"}), "columns": credit_columns(sample)}


def _cell(value: str | float) -> str:
    if not isinstance(value, str):
        return f"{value:+.3f}"
    return "".join(f"&#{ord(character)};" if character in _MARKUP else character for character in visible_text(value))


_MARKUP = frozenset("\\`*_{}[]()<>#+-.!|&~:^$\"'\n\r\t")
"""Characters that mean something to Markdown or HTML."""
