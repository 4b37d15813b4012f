"""Times and spans of time in words."""

import time

_UNITS = ((86_400, "d"), (3_600, "h"), (60, "min"), (1, "s"))


def span(seconds: float) -> str:
    """A span of time in its largest unit.

    >>> span(7_500.0)
    '2 h'
    """
    length, unit = next((each for each in _UNITS if seconds >= each[0]), _UNITS[-1])
    return f"{max(int(seconds / length), 0)} {unit}"


def moment(seconds: float) -> str:
    """HTML of a moment, given in seconds since the epoch: how long ago, and when exactly for the pointer."""
    stamp = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(seconds))
    # The script keeps the words up to date; without one they are those of when the page was made.
    attributes = f'datetime="{stamp.replace(" ", "T")}" data-at="{seconds:.0f}" title="{stamp}"'
    return f"<time {attributes}>{span(time.time() - seconds)} ago</time>"
