"""A comparison in a notebook: `look_at_comparison(file)` has the verdict, the pictures and the table, one per cell."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

from bo_shaping.comparison.statistics import Interval
from bo_shaping.comparison.stored import StoredComparison, read_comparison
from bo_shaping.comparison.summary import Comparison, Row
from bo_shaping.config.searched_parameter import Value
from bo_shaping.text.escaping import escape
from bo_shaping.text.wording import describe_value
from bo_shaping.views.comparison_table import at_equal_kl, sentences, short
from bo_shaping.views.html_table import html_table
from bo_shaping.views.report.comparison_figures import by_kl_figure, by_step_figure, differences_figure
from bo_shaping.views.report.shown import Picture, Shown

_WEIGHT_IN_SIGHT = 0.005


def look_at_comparison(file: str | Path) -> "ComparisonView":
    """What `bo-shaping compare -o FILE.json` wrote, to look at.

    Raises:
        ExperimentFileError: If it cannot be read, or is no comparison.
    """
    return ComparisonView(read_comparison(file))


class ComparisonView:
    """Each method gives one cell."""

    def __init__(self, stored: StoredComparison) -> None:
        self.stored = stored

    def headline(self) -> Shown:
        """Which methods are faster, and which are better at equal KL, as far as the seeds can tell."""
        comparison = self.stored.comparison
        head, said = headline(comparison), sentences(comparison)
        items = "".join(f"<li>{escape(sentence)}</li>" for sentence in said)
        return Shown(f"<h3>{escape(head)}</h3><ul>{items}</ul>", "\n".join([head, *said]))

    def differences(self) -> Picture:
        """Each method less the baseline, with intervals over seeds."""
        return Picture.of(differences_figure(self.stored.comparison), "Each method less the baseline, by seed")

    def by_step(self) -> Picture:
        """Learning curves by step, with intervals over seeds."""
        return Picture.of(by_step_figure(self.stored), "Reward by PPO step, a panel per method")

    def by_kl(self) -> Picture:
        """Reward against KL, with intervals over seeds."""
        return Picture.of(by_kl_figure(self.stored), "Reward by KL, a panel per method")

    def table(self) -> Shown:
        """All numbers, with 95 % intervals over seeds."""
        comparison = self.stored.comparison
        after = f"after {comparison.equal_seconds:.3g} s"
        heads = ("method", "held reward", "final", "KL", "steps", "at equal KL", after)
        rows = [_numbers(row, comparison) for row in comparison.rows]
        return _table(heads, rows, "All methods in numbers")

    def settings(self) -> Shown:
        """At which parameters each method was at its best, what was learned, and the seconds of a training."""
        heads = ("method", "weights", "parameters", "seconds")
        rows = [
            (row.method, _named(_in_sight(row.weights)), _named(row.parameters), f"{row.seconds:.1f}")
            for row in self._rows
        ]
        return _table(heads, rows, "Where each method is at its best")

    @property
    def _rows(self) -> list[Row]:
        return self.stored.comparison.rows


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]], about: str) -> Shown:
    return Shown(html_table(heads, rows, about), "\n".join("  ".join(cells) for cells in (heads, *rows)))


def headline(comparison: Comparison) -> str:
    """One sentence: who holds more reward than the baseline, and who has more at equal KL."""
    others = [row for row in comparison.rows if row.method != comparison.baseline]
    if any(row.difference is None or math.isnan(row.difference.low) for row in others):
        return f"One seed tells nothing about methods beside {comparison.baseline}"
    faster = [row.method for row in others if _is_above(row.difference)]
    better = [row.method for row in others if _is_above(row.at_kl_difference)]
    more = f"hold{'s' * (len(faster) == 1)} more reward along the training than {comparison.baseline}"
    at_kl = f"at equal KL, {_listed(better)} {'is' if len(better) == 1 else 'are'} better"
    if not better:
        at_kl = "at equal KL no method is better" if len(others) > 1 else "at equal KL it is not better"
    nobody = f"No method is known to hold more reward than {comparison.baseline}"
    return f"{_listed(faster)} {more}; {at_kl}" if faster else f"{nobody}; {at_kl}"


def _is_above(interval: Interval | None) -> bool:
    return interval is not None and interval.low > 0


def _listed(names: list[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}" if names else ""


def _numbers(row: Row, comparison: Comparison) -> tuple[str, ...]:
    is_baseline = row.method == comparison.baseline
    steps = "1" if is_baseline else f"{short(row.steps)}, {row.n_there} of {comparison.n_seeds} got there"
    return (
        f"{row.method} (baseline)" if is_baseline else row.method,
        short(row.held),
        short(row.final),
        f"{row.kl:.2f}",
        steps,
        at_equal_kl(row),
        short(row.at_seconds),
    )


def _in_sight(weights: Mapping[str, float]) -> dict[str, float]:
    return {name: weight for name, weight in weights.items() if weight >= _WEIGHT_IN_SIGHT}


def _named(values: Mapping[str, Value]) -> str:
    return ", ".join(f"{name} {describe_value(value)}" for name, value in values.items())
