"""A comparison of ways to pay tokens: a table, and what it says in words."""

import math

from rich.console import Console
from rich.table import Table
from rich.text import Text

from bo_shaping.comparison.statistics import ALSO_MEASURED, Interval
from bo_shaping.comparison.summary import Comparison, Row
from bo_shaping.views.trained_table import in_words
from bo_shaping.views.whole_lines import UNBOUNDED


def print_comparison(console: Console, comparison: Comparison) -> None:
    """The table, then a sentence per method beside the baseline."""
    table = Table(box=None, pad_edge=False)
    table.add_column("method")
    for name in ("held reward", "final", "KL", "steps", "at equal KL"):
        table.add_column(name, justify="right")
    table.add_column(f"after {comparison.equal_seconds:.3g} s", justify="right")
    for row in comparison.rows:
        steps = "1" if row.method == comparison.baseline else short(row.steps)
        cells = (short(row.held), short(row.final), f"{row.kl:.2f}", steps, at_equal_kl(row), short(row.at_seconds))
        table.add_row(row.method, *cells)
    console.print(table, width=None if console.is_terminal else UNBOUNDED)
    for line in sentences(comparison):
        console.print(Text(line), soft_wrap=True)


def sentences(comparison: Comparison) -> list[str]:
    """What was compared, and each method beside the baseline."""
    seeds = "one fresh seed" if comparison.n_seeds == 1 else f"{comparison.n_seeds} fresh seeds"
    budget = "" if comparison.max_kl is None else f", up to KL {comparison.max_kl:g}"
    lines = [
        f"Each method was tuned with {comparison.n_trials} trials, and trained with {seeds}{budget}. Intervals: 95 %, "
        f"over seeds; steps are those to the final reward of {comparison.baseline}, {comparison.goal:.3g}, in units of "
        "its own."
    ]
    return lines + [_beside(row, comparison) for row in comparison.rows if row.method != comparison.baseline]


def _beside(row: Row, comparison: Comparison) -> str:
    parts = [
        f"{in_words(difference, signed=True)} {where}"
        for difference, where in (
            (row.difference, "of held reward"),
            (row.at_kl_difference, f"at equal KL, {row.equal_kl:.2g} in the mean"),
            (row.at_seconds_difference, f"after {comparison.equal_seconds:.3g} s of training"),
        )
        if difference is not None
    ]
    parts += [
        f"{in_words(also.at_kl_difference, signed=True)} there by {name}, on which nobody trained"
        for name, also in row.also.items()
        if also.at_kl_difference is not None and name not in ALSO_MEASURED
    ]
    there = f"{row.n_there} of {comparison.n_seeds} got to its final reward"
    if not math.isnan(row.steps.value):
        there += f", in {row.steps.value:.2f} of its steps"
    return f"{row.method} beside {comparison.baseline}: {'; '.join(parts)}; {there}.{_verdict(row.difference)}"


def _verdict(difference: Interval | None) -> str:
    if difference is None or math.isnan(difference.low):
        return " One seed tells nothing; give --seeds."
    if difference.low <= 0 <= difference.high:
        return " A tie, as far as these seeds can tell."
    return ""


def at_equal_kl(row: Row) -> str:
    """Reward at the KL that it and the baseline have both reached, and that KL."""
    return f"{short(row.at_kl)} at {row.equal_kl:.2g}"


def short(interval: Interval | None, *, signed: bool = False) -> str:
    """An estimate to two decimals, with the ends of its interval where there are some; a dash for none."""
    if interval is None or math.isnan(interval.value):
        return "-"
    sign = "+" if signed else ""
    value = f"{interval.value:{sign}.2f}"
    return value if math.isnan(interval.low) else f"{value} ({interval.low:{sign}.2f} to {interval.high:{sign}.2f})"
