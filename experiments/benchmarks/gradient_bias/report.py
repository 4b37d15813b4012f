"""Medians over random games with distribution-free intervals, and the tables made of them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

import numpy as np
from scipy.stats import binom  # type: ignore[import-untyped]
from tabulate import tabulate  # type: ignore[import-untyped]

from experiments.benchmarks.gradient_bias.games import GAMES
from experiments.benchmarks.gradient_bias.moments import BATCH_SIZES, Moments

CONFIDENCE = 0.95
DIGITS = 3
"""Significant digits in the JSON."""

METRICS: dict[str, Callable[[Moments], float]] = {
    "bias": lambda m: m.bias,
    "cosine": lambda m: m.cosine,
    "variance": lambda m: m.variance,
    **{f"mse_{n}": (lambda m, n=n: m.mse(n)) for n in BATCH_SIZES},  # type: ignore[misc]
    **{f"direction_error_{n}": (lambda m, n=n: m.direction_error(n)) for n in BATCH_SIZES},  # type: ignore[misc]
}


class Key(NamedTuple):
    """One estimator in one setting."""

    policy: str
    game: str
    estimator: str
    critic: str
    gae_lambda: float


class Interval(NamedTuple):
    """A median over games and its 95 % interval."""

    median: float
    low: float
    high: float


def median_interval(samples: Iterable[float]) -> Interval:
    """The median between two order statistics, chosen by the binomial law; needs no assumption but independence.

    With fewer than six samples no pair of them is far enough apart, and the interval is the range.
    """
    ordered = np.sort(np.fromiter(samples, dtype=float))
    below = int(binom.ppf((1 - CONFIDENCE) / 2, len(ordered), 0.5)) - 1
    low, high = max(below, 0), min(len(ordered) - 1 - below, len(ordered) - 1)
    return Interval(float(np.median(ordered)), float(ordered[low]), float(ordered[high]))


class Results:
    """Collects the moments of one setting over seeds."""

    def __init__(self) -> None:
        self.samples: dict[Key, list[Moments]] = defaultdict(list)

    def add(self, results: Mapping[Key, Moments]) -> None:
        """One seed."""
        for key, value in results.items():
            self.samples[key].append(value)


class Summary(dict[Key, dict[str, Interval]]):
    """Per setting, every metric's median and interval."""

    def rows(self) -> list[list[object]]:
        """JSON rows: the fields of the key, then `[median, low, high]` of each of `METRICS`."""
        return [
            [*key, *([float(f"{x:.{DIGITS}g}") for x in metrics[name]] for name in METRICS)]
            for key, metrics in self.items()
        ]

    def best_lambda(self, key: Key, metric: str) -> Key:
        """`key` with the lambda at which the median of the metric is smallest."""
        keys = [other for other in self if other[:4] == key[:4]]
        return min(keys, key=lambda other: self[other][metric].median)


def summarise(results: Results) -> Summary:
    """Medians and intervals of everything."""
    return Summary(
        (key, {name: median_interval(map(metric, samples)) for name, metric in METRICS.items()})
        for key, samples in results.samples.items()
    )


def tables(summary: Summary) -> str:
    """Markdown, per policy: bias; per critic what it means at lambda = 1; and each component at its best lambda."""
    policies = list(dict.fromkeys(key.policy for key in summary))
    estimators = list(dict.fromkeys(key.estimator for key in summary if key.critic == "exact"))
    components = list(dict.fromkeys(key.estimator for key in summary if key.gae_lambda != 1))
    parts = ["# Bias and variance of the policy gradient, in units of the true gradient", EXPLANATION]
    for policy in policies:
        parts.append(_table(f"{policy} policy: bias at lambda = 1", components, _bias_cell(summary, policy)))
        for critic in dict.fromkeys(key.critic for key in summary):
            title = f"{policy} policy, {critic} critic"
            rows = estimators if critic != "zero" else [*components, "leave-one-out"]
            at_one = _error_cell(summary, policy, critic, lambda key, _: key)
            parts.append(_table(f"{title}, lambda = 1: variance; {ERRORS}", rows, at_one))
            at_best = _error_cell(summary, policy, critic, summary.best_lambda)
            parts.append(_table(f"{title}, best lambda for each: variance; {ERRORS}", components, at_best))
    return "\n\n".join(parts) + "\n"


Cell = Callable[[str, str], str]
"""`(estimator, game)` to what the table says."""

ERRORS = f"error of the direction with {' and '.join(map(str, BATCH_SIZES))} responses"

EXPLANATION = (
    "Medians over random games and policies, with 95 % intervals in brackets (the other intervals are in the JSON). "
    "The error of the direction is the least mean squared error that rescaling the estimate can reach: 1 is noise. "
    "The best lambda is chosen for the smaller batch."
)


def _table(title: str, estimators: Iterable[str], cell: Cell) -> str:
    rows = [[name, *(cell(name, game) for game in GAMES)] for name in estimators]
    return f"{title}\n\n" + tabulate(rows, headers=["", *GAMES], tablefmt="pipe", disable_numparse=True)


def _bias_cell(summary: Summary, policy: str) -> Cell:
    def cell(name: str, game: str) -> str:
        bias = summary[Key(policy, game, name, "exact", 1.0)]["bias"]
        return f"{bias.median:.2f} [{bias.low:.2f}, {bias.high:.2f}]"

    return cell


def _error_cell(summary: Summary, policy: str, critic: str, choose: Callable[[Key, str], Key]) -> Cell:
    errors = [f"direction_error_{n}" for n in BATCH_SIZES]

    def cell(name: str, game: str) -> str:
        start = Key(policy, game, name, critic, 1.0)
        key = choose(start, errors[0])
        found = "; ".join(f"{summary[key][error].median:.2f}" for error in errors)
        at = f" at {key.gae_lambda:g}" if key != start else ""
        return f"{summary[key]['variance'].median:.1f}; {found}{at}"

    return cell
