"""Error against exact tables at equal budgets: Shapley, LIME and Owen, ours and the peers'.

An error is ||estimate - truth|| / ||truth||; a cell is its median over snippets and seeds with a 95 % interval from a
bootstrap over snippets. Budgets count the evaluations asked for, the empty and the full coalition included.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import chain
from typing import Any

import numpy as np
from tabulate import tabulate

from experiments.benchmarks.attribution.exact import exact_lime, exact_owen, exact_shapley, look_up
from experiments.benchmarks.attribution.peers import SHAPLEY_PEERS, CountingGame, Game, lime_text, shap_partition
from experiments.benchmarks.attribution.statistics import relative_error, spearman
from experiments.benchmarks.attribution.tables import ExactTable
from experiments.benchmarks.bars import Bar
from experiments.benchmarks.intervals import bootstrap, bootstrap_median_difference
from inner_loop.attribution import attribute_game
from inner_loop.units.partition import text_tree

BUDGETS = (32, 64, 128, 256, 512)
SEEDS = (0, 1, 2)
OURS = "ours"
ALL = "all"

ERROR_LIMITS = {"remove": {64: 0.11, 256: 0.04}, "mask": {64: 0.055, 256: 0.026}}
"""Highest median error of Shapley values, by masking and budget."""
SPEARMAN_LIMIT = 0.97
"""Lowest mean rank correlation of Shapley values at 64 evaluations."""
LIME_LIMIT = 0.095
"""Highest median error of LIME at 64 evaluations."""

Z_90 = 1.6449
"""Half-width of a central 90 % interval of a normal distribution, in standard deviations."""


@dataclass
class Cell:
    """One method on one target at one budget under one model and masking.

    Errors and rank correlations: one row per snippet, one column per run (per seed, and per model if pooled).
    """

    model: str
    masking: str
    target: str
    method: str
    budget: int
    errors: list[list[float]] = field(default_factory=list)
    spearmans: list[list[float]] = field(default_factory=list)
    distinct: list[int] = field(default_factory=list)
    covered: list[bool] = field(default_factory=list)
    """Of each unit with a posterior deviation: whether its 90 % interval holds the truth."""

    def summary(self) -> dict[str, Any]:
        """Plain data: the medians with their intervals."""
        error = bootstrap(np.array(self.errors))
        return {
            "model": self.model,
            "masking": self.masking,
            "target": self.target,
            "method": self.method,
            "budget": self.budget,
            "error": round(error.value, 5),
            "error_low": round(error.low, 5),
            "error_high": round(error.high, 5),
            "spearman": round(float(np.mean(self.spearmans)), 5),
            "distinct_evaluations": round(float(np.mean(self.distinct)), 1),
            "coverage_90": round(float(np.mean(self.covered)), 4) if self.covered else None,
            "n_texts": len(self.errors),
            "n_runs": len(self.errors[0]),
        }


@dataclass(frozen=True)
class Run:
    """One estimate on one table."""

    values: np.ndarray
    distinct: int
    """Distinct coalitions it took."""
    std: np.ndarray | None = None
    """Posterior standard deviations, of methods that give them."""


def measure(tables: Iterable[ExactTable], budgets: Sequence[int] = BUDGETS, seeds: Sequence[int] = SEEDS) -> list[Cell]:
    """All methods on all tables, one cell per model, masking, target, method and budget."""
    cells: dict[tuple[str, str, str, str, int], Cell] = {}
    for table in tables:
        tree = text_tree(table.snippet.response, table.snippet.units)
        truths = {
            "shapley": exact_shapley(table.values),
            "lime": exact_lime(table.values),
            "owen": exact_owen(table.values, tree),
        }
        for budget in budgets:
            for (target, method), runs in estimates(table, tree, budget, seeds).items():
                key = (table.model, table.masking, target, method, budget)
                add(cells.setdefault(key, Cell(*key)), runs, truths[target])
    return list(cells.values())


def estimates(
    table: ExactTable, tree: np.ndarray, budget: int, seeds: Sequence[int]
) -> dict[tuple[str, str], list[Run]]:
    """By target and method: one run per seed, or a single one of a method in which nothing is random."""
    game, n = partial(look_up, table.values), table.n_units
    runs: dict[tuple[str, str], list[Run]] = {}
    for target in ("shapley", "lime", "owen"):
        ours = attribute_game(game, n, method=target, budget=budget, groups=tree if target == "owen" else None)
        runs[target, OURS] = [Run(ours.values, ours.n_evaluations, ours.std)]
    for name, peer in SHAPLEY_PEERS.items():
        runs["shapley", name] = [counted(peer, game, n, budget, seed) for seed in seeds]
    runs["lime", "LimeTextExplainer"] = [counted(lime_text, game, n, budget, seed) for seed in seeds]
    runs["owen", "shap Partition"] = [counted(shap_partition, game, n, budget, tree)]
    return runs


def counted(peer: Callable[..., np.ndarray], game: Game, n_units: int, budget: int, last: int | np.ndarray) -> Run:
    """A peer's run; `last` is its seed or its tree."""
    counting = CountingGame(game)
    return Run(peer(counting, n_units, budget, last), counting.n_distinct)


def add(cell: Cell, runs: Sequence[Run], truth: np.ndarray) -> None:
    """Judge the runs on one table and add them to the cell as its next row."""
    cell.errors.append([relative_error(run.values, truth) for run in runs])
    cell.spearmans.append([spearman(run.values, truth) for run in runs])
    cell.distinct.extend(run.distinct for run in runs)
    for run in runs:
        if run.std is not None:
            inside = np.abs(run.values - truth) <= Z_90 * run.std
            cell.covered.extend(inside[run.std > 0].tolist())


def pooled(cells: Sequence[Cell]) -> list[Cell]:
    """The cells of all models together, per masking: still one row per snippet, since models agree on what is hard."""
    groups: dict[tuple[str, str, str, str, int], list[Cell]] = {}
    for cell in cells:
        groups.setdefault((ALL, cell.masking, cell.target, cell.method, cell.budget), []).append(cell)
    return [
        Cell(
            *key,
            errors=[list(chain(*rows)) for rows in zip(*(cell.errors for cell in group), strict=True)],
            spearmans=[list(chain(*rows)) for rows in zip(*(cell.spearmans for cell in group), strict=True)],
            distinct=list(chain(*(cell.distinct for cell in group))),
            covered=list(chain(*(cell.covered for cell in group))),
        )
        for key, group in groups.items()
    ]


def bars(cells: Sequence[Cell]) -> list[Bar]:
    """What the engine has to reach, for every model by itself and for all together."""
    found = {(cell.model, cell.masking, cell.target, cell.method, cell.budget): cell for cell in cells}
    result = []
    for model, masking in dict.fromkeys((cell.model, cell.masking) for cell in cells):
        budgets = sorted({cell.budget for cell in cells})
        for budget in budgets:
            ours = found[model, masking, "shapley", OURS, budget]
            where = f"{model}, {masking}, {budget} evaluations"
            error = bootstrap(np.array(ours.errors))
            if limit := ERROR_LIMITS[masking].get(budget):
                result.append(Bar(f"Shapley error, {where}", error.value, "<=", limit, error.low, error.high))
            if budget == 64:
                rank = bootstrap(np.array(ours.spearmans), np.mean)
                result.append(Bar(f"Spearman, {where}", rank.value, ">=", SPEARMAN_LIMIT, rank.low, rank.high))
                lime = bootstrap(np.array(found[model, masking, "lime", OURS, budget].errors))
                result.append(Bar(f"LIME error, {where}", lime.value, "<=", LIME_LIMIT, lime.low, lime.high))
            rivals = {name: found[model, masking, "shapley", name, budget] for name in SHAPLEY_PEERS}
            best = min(rivals, key=lambda name: np.median(rivals[name].errors))
            gap = bootstrap_median_difference(np.array(ours.errors), np.array(rivals[best].errors))
            result.append(
                Bar(f"Shapley error minus the best peer's, {where}", gap.value, "<=", 0, gap.low, gap.high, best)
            )
    return result


def tables_of(cells: Sequence[Cell]) -> str:
    """Readable tables: one per model, masking and target; error / Spearman by budget."""
    parts = []
    for model, masking, target in dict.fromkeys((cell.model, cell.masking, cell.target) for cell in cells):
        rows: dict[str, dict[str, str]] = {}
        group = [cell for cell in cells if (cell.model, cell.masking, cell.target) == (model, masking, target)]
        for cell in group:
            summary = cell.summary()
            text = "{error:.3f} [{error_low:.3f}, {error_high:.3f}] / {spearman:.3f}".format_map(summary)
            rows.setdefault(cell.method, {"method": cell.method})[str(cell.budget)] = text
            if cell.covered:
                coverage = rows.setdefault("coverage", {"method": "90 % intervals of ours hold"})
                coverage[str(cell.budget)] = f"{summary['coverage_90']:.0%}"
            if target == "shapley":
                spent = rows.setdefault(f"{cell.method} spent", {"method": f"  distinct, {cell.method}"})
                spent[str(cell.budget)] = f"{summary['distinct_evaluations']:.0f}"
        order = [row for name, row in rows.items() if not name.endswith("spent")]
        order += [row for name, row in rows.items() if name.endswith("spent")]
        heading = f"{target}, {masking}, {model} ({len(group[0].errors)} texts): median error [95 %] / Spearman"
        parts.append(f"{heading}\n{tabulate(order, headers='keys', tablefmt='github')}")
    return "\n\n".join(parts)
