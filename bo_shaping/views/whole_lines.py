"""Lines that are whole where there is no terminal, so that they can be searched; print with `crop=False`."""

from rich.console import Console, ConsoleOptions

UNBOUNDED = 10_000
"""Columns of what is no terminal."""


def whole_lines(console: Console, options: ConsoleOptions) -> ConsoleOptions:
    """The options on a terminal; anywhere else those of one that is as wide as any table."""
    return options if console.is_terminal else options.update(max_width=UNBOUNDED)
