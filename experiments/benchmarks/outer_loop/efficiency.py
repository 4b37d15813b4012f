"""Sample efficiency: what the recommendation is worth after 10, 15 and 25 trials, from the lines of `studies`.

A regret of 1 is what a point drawn uniformly loses on average. Ratios compare studies on the same problems with the
same noise; their intervals are bootstraps over problems. On the table the problem is one and the same, and the studies
differ in seeds.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from tabulate import tabulate

from bo_shaping.comparison.statistics import ratio_of_means
from experiments.benchmarks.bars import Bar
from experiments.benchmarks.intervals import bootstrap
from experiments.benchmarks.outer_loop.methods import PROPOSER, code_of
from experiments.benchmarks.outer_loop.studies import AFTER, AX, KINDS, METHODS, read_lines

JUDGED = "15"
"""Trials after which the bars are judged."""
RATIO_LIMITS = {False: 0.75, True: 0.5}
"""Our regret in units of Ax's, by whether our trials share their seed; Ax's never do."""
COVERAGE_LIMITS = (0.85, 0.95)
MIN_PROBLEMS = 10
"""Studies that a bar rests on at least; with fewer, the table is all there is."""
OURS = "ours"

Lines = list[dict[str, Any]]


def measure(file: Path) -> dict[str, Any]:
    """All lines that count: those of ours by the code as it is now."""
    lines = [line for key, line in read_lines(file).items() if key[-1] in ("", code_of(PROPOSER))]
    order = {name: place for place, name in enumerate((*KINDS, *METHODS))}
    lines.sort(key=lambda line: (order[line["kind"]], order[line["method"]], line["common"], line["index"]))
    return {"studies": [{name: value for name, value in line.items() if value not in ("", {})} for line in lines]}


def regrets(lines: Lines, kind: str, method: str, common: bool, after: str) -> dict[int, float]:
    """Regret by number of the problem."""
    return {
        line["index"]: line["regret"][after]
        for line in lines
        if (line["kind"], line["method"], line["common"]) == (kind, method, common) and after in line["regret"]
    }


def ratio_bar(lines: Lines, kind: str, common: bool) -> Bar | None:
    """Our regret beside Ax's, on the problems that both have."""
    ours, theirs = regrets(lines, kind, OURS, common, JUDGED), regrets(lines, kind, AX, False, JUDGED)
    shared = sorted(ours.keys() & theirs.keys())
    if len(shared) < MIN_PROBLEMS:
        return None
    ratio = ratio_of_means(np.array([ours[i] for i in shared]), np.array([theirs[i] for i in shared]))
    how = "with" if common else "without"
    return Bar(
        f"regret beside Ax's after {JUDGED} trials, {kind}, {how} common random numbers",
        ratio.value,
        "<=",
        RATIO_LIMITS[common],
        ratio.low,
        ratio.high,
        note=f"{len(shared)} {'pairs of studies' if kind == 'table' else 'surfaces'}",
    )


def coverage_bars(lines: Lines, kind: str) -> Iterable[Bar]:
    """How often the 90 % interval of a weight holds the best one, over weights and studies."""
    covered = [line["covered"][JUDGED] for line in lines if line["kind"] == kind and JUDGED in line.get("covered", {})]
    if len(covered) < MIN_PROBLEMS:
        return
    share = bootstrap(np.array(covered, dtype=float), np.mean)
    name = f"coverage of the best weights after {JUDGED} trials, {kind}"
    note = f"{len(covered)} studies of {len(covered[0])} weights"
    low, high = COVERAGE_LIMITS
    yield Bar(name, share.value, ">=", low, share.low, share.high, note)
    yield Bar(name, share.value, "<=", high, share.low, share.high, note)


def bars(result: dict[str, Any]) -> list[Bar]:
    """Regret and coverage; coverage on the table is not judged, where the best node is a grid's and not a model's."""
    lines = result["studies"]
    ratios = [ratio_bar(lines, kind, common) for kind in KINDS for common in (False, True)]
    coverage = [bar for kind in KINDS if kind != "table" for bar in coverage_bars(lines, kind)]
    return [bar for bar in ratios if bar is not None] + coverage


def table_of(result: dict[str, Any]) -> str:
    """Mean regret with its standard error, and the number of studies behind it."""
    rows = []
    for kind in KINDS:
        for method in METHODS:
            for common in (False, True):
                cells = [list(regrets(result["studies"], kind, method, common, str(after)).values()) for after in AFTER]
                if any(cells):
                    seconds = [
                        line["cpu_seconds"] / line["n_trials"]
                        for line in result["studies"]
                        if (line["kind"], line["method"], line["common"]) == (kind, method, common)
                    ]
                    row = [kind, method, "yes" if common else "no", *map(_mean, cells), f"{np.median(seconds):.2f}"]
                    rows.append(row)
    headers = ["", "method", "common seeds", *(f"regret at {after}" for after in AFTER), "CPU s a trial"]
    table = tabulate(rows, headers=headers, tablefmt="github", disable_numparse=True)
    return f"{table}\n\n{intervals_of(result['studies'])}"


def intervals_of(lines: Lines) -> str:
    """How often our 90 % intervals hold the best weight, and how wide they are."""
    rows = []
    for kind in KINDS:
        mine = [line for line in lines if line["kind"] == kind and "covered" in line]
        cells = []
        for after in map(str, AFTER):
            there = [line for line in mine if after in line["covered"]]
            share = np.mean([line["covered"][after] for line in there]) if there else np.nan
            width = np.mean([line["width"][after] for line in there]) if there else np.nan
            cells.append(f"{share:.2f}, {width:.2f}")
        if mine:
            rows.append([kind, len(mine), *cells])
    headers = ["", "studies", *(f"share covered and mean width at {after}" for after in AFTER)]
    return tabulate(rows, headers=headers, tablefmt="github", disable_numparse=True)


def _mean(values: list[float]) -> str:
    if len(values) < 2:
        return ""
    return f"{np.mean(values):.3f} ({np.std(values, ddof=1) / np.sqrt(len(values)):.3f}) n={len(values)}"
