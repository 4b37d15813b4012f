"""Does nearness to the truth predict how fast a component learns? Rank correlations, and how little they may say."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import permutations
from typing import Any

import numpy as np
from scipy.stats import rankdata

from experiments.benchmarks.credit_truth.agreement import bootstrap_rows, correlation

Rows = Sequence[dict[str, Any]]

MEASURES = ("alignment", "error", "bias", "noise", "on_the_decisive")
"""Of forks; all but alignment and the share on the decisive word are better if smaller."""
ROUNDING = 9
"""Decimals beyond which numbers count as equal: components that pay the same must tie."""


def rank_correlation(first: Sequence[float] | np.ndarray, second: Sequence[float] | np.ndarray) -> float:
    """Spearman's, ties with their mean rank; not a number if one does not differ."""
    ranks = (rankdata(np.round(np.asarray(values, dtype=float), ROUNDING)) for values in (first, second))
    return correlation(*ranks)


def of_forks(estimates: Rows, speeds: Rows) -> list[dict[str, Any]]:
    """Mean rank correlation over forks, with bootstrap intervals over forks.

    Over all components and lambdas of a fork, and over its components at each lambda.
    """
    known = {(r["kind"], r["place"], r["component"], r["lambda"]): r for r in estimates if r["critic"] == "zero"}
    lambdas = sorted({row["lambda"] for row in speeds}, reverse=True)
    forks = list(dict.fromkeys((row["kind"], row["place"]) for row in speeds))
    found = []
    for chosen in (None, *lambdas):
        for name in MEASURES:
            by_fork = []
            for fork in forks:
                rows = [r for r in speeds if (r["kind"], r["place"]) == fork and chosen in (None, r["lambda"])]
                values = [known[*fork, r["component"], r["lambda"]][name] for r in rows]
                by_fork.append(rank_correlation(values, [r["speed"] for r in rows]))
            defined = np.array([value for value in by_fork if np.isfinite(value)])
            interval = [float("nan")] * 3
            if len(defined):
                interval = bootstrap_rows(defined[:, None], lambda rows: np.asarray(rows[..., 0].mean(axis=-1)))
            found.append({"lambda": chosen, "measure": name, "forks": len(defined), "rank_correlation": interval})
    return found


def of_the_embedded_task(
    record: dict[str, Any], alone: Rows, *, critic: str, gae_lambda: float
) -> list[dict[str, Any]]:
    """Rank correlation over the components whose learning alone is stored, and how often chance does as well.

    Args:
        record: What `embedded.measure` found.
        alone: `name` and `mean` reward of trainings with one component alone, in units of at most so many spans.
        critic: Of the estimates.
        gae_lambda: Theirs.
    """
    speeds = [row["mean"] for row in alone]
    numbers: dict[str, list[float]] = {}
    for row in alone:
        units = ("8 spans", "")
        agreed = _row(record["components"], row["name"], units)
        estimated = _row(
            [r for r in record["estimates"] if (r["critic"], r["lambda"]) == (critic, gae_lambda)], row["name"], units
        )
        for name in ("correlation", "sign", "largest"):
            numbers.setdefault(name, []).append(agreed[name][0])
        for name in ("alignment", "error", "bias"):
            numbers.setdefault(name, []).append(estimated[name][0])
    return [
        {
            "measure": name,
            "components": len(speeds),
            "rank_correlation": rank_correlation(values, speeds),
            "chance": chance(values, speeds),
        }
        for name, values in numbers.items()
    ]


def chance(first: Sequence[float], second: Sequence[float]) -> float:
    """Share of all orders whose rank correlation is at least as far from zero, by enumeration."""
    ours = abs(rank_correlation(first, second))
    every = [abs(rank_correlation(order, second)) for order in permutations(first)]
    return float(np.mean(np.array(every) >= ours - 1e-12))


def _row(rows: Rows, name: str, units: tuple[str, ...]) -> dict[str, Any]:
    return next(row for row in rows if row["component"] == name and row["units"] in units)
