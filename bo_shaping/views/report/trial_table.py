"""The table of all trials as HTML, failed ones with their reason."""

import math
import re
from collections.abc import Hashable, Mapping
from dataclasses import dataclass

import pandas as pd

from bo_shaping.text.escaping import escape
from bo_shaping.text.wording import describe_attempts
from bo_shaping.views.report.style import component_colours
from bo_shaping.views.report.theme import theme_css
from bo_shaping.views.report.trial_frame import WEIGHT_PREFIX, Landmarks, component_names, extra_parameters

_CSS = f"""
{theme_css(".trials")}
.trials {{ container-type: inline-size; color: var(--bs-ink); }}
.trials.trials table {{ table-layout: auto; width: 100%; margin: 0; border: 0; border-collapse: collapse;
  font-size: .86rem; line-height: 1.4; font-variant-numeric: tabular-nums; color: var(--bs-ink); }}
.trials.trials th, .trials.trials td {{ padding: .34rem .45rem; border: 0; text-align: right; vertical-align: baseline;
  background: var(--bs-paper); max-width: none; }}
.trials.trials th {{ font-weight: 600; color: var(--bs-muted); font-size: .8rem; white-space: nowrap;
  border-bottom: 2px solid var(--bs-strong-rule); }}
.trials.trials td {{ border-bottom: 1px solid var(--bs-rule); white-space: nowrap; }}
.trials.trials th:nth-child(2), .trials.trials td:nth-child(2), .trials.trials th:last-child,
.trials.trials td.status {{
  text-align: left; }}
.trials.trials td.status {{ white-space: normal; min-width: 9rem; overflow-wrap: anywhere; }}
.trials td small {{ color: var(--bs-muted); font-size: .78rem; font-weight: 400; overflow-wrap: anywhere; }}
.trials td.over, .trials td.over small, .trials td small.over {{ color: var(--bs-warning); }}
.trials.trials tr.chosen td {{ background: var(--bs-chosen); font-weight: 600; }}
.trials .bar {{ display: inline-flex; width: 5rem; max-width: 100%; height: .7rem; border-radius: 3px;
  overflow: hidden; background: var(--bs-empty); vertical-align: middle; }}
.trials .bar i {{ display: block; height: 100%; }}
.trials .none {{ color: var(--bs-faint); }}
"""

_CARDS_CSS = """
@container (max-width: WIDTH) {
.trials.WHICH thead { display: none; }
.trials.WHICH table, .trials.WHICH tbody { display: block; }
.trials.trials.WHICH tbody tr { display: grid; grid-template-columns: repeat(auto-fill, minmax(7.2rem, 1fr));
  gap: .3rem .8rem; padding: .6rem .8rem; margin: 0 0 .7rem; border: 1px solid var(--bs-rule); border-radius: 8px;
  background: var(--bs-paper); }
.trials.trials.WHICH tbody tr.chosen { background: var(--bs-chosen); }
.trials.trials.WHICH td { display: block; text-align: left; white-space: normal; border: 0; padding: 0; min-width: 0;
  overflow-wrap: anywhere; background: transparent; }
.trials.WHICH td::before { content: attr(data-head); display: block; color: var(--bs-muted); font-size: .74rem;
  font-weight: 400; }
.trials.WHICH td.long { grid-column: 1 / -1; }
}
"""
"""In a place too narrow for all columns a row becomes a card, in which every number stands under its name."""

_DIGIT_REM, _PADDING_REM, _BAR_REM, _STATUS_REM = 0.52, 0.9, 5.0, 9.0
"""Widths, in rem: of a character, of the padding of a cell, of the bar, and the least of the status."""
_MISSING = '<span class="none">–</span>'


def trial_table_html(
    trials: pd.DataFrame, landmarks: Landmarks, *, kl_budget: float | None = None, kl_held: bool = False
) -> str:
    """One row per trial: weights as numbers and as a bar, extra parameters, outcome, seeds, origin, status, reason.

    Where the columns do not fit side by side, each row is a card. A KL beyond the budget is said in its row.

    Args:
        trials: One row per trial, as `Study.trials` returns it.
        landmarks: Which trial to highlight.
        kl_budget: Largest KL allowed, None for no budget.
        kl_held: Whether trainings stop at the budget: what is past it then was reached by the last step.
    """
    if trials.empty:
        return "<p>No trial yet.</p>"
    components, extras = component_names(trials), extra_parameters(trials)
    has_final = bool(trials["final"].notna().any())
    heads = [
        "#",
        "mixture",
        *components,
        *extras,
        "reward",
        *(["final"] if has_final else []),
        "KL",
        "seconds",
        "seeds",
        "origin",
        "status",
    ]
    head = "".join(f'<th scope="col">{escape(name)}</th>' for name in heads)
    budget = _Budget(kl_budget, kl_held)
    cells = [
        _cells(record, components, extras, landmarks, budget, has_final=has_final)
        for record in trials.sort_values("index").to_dict("records")
    ]
    rows = "".join(_row(heads, row, is_chosen=is_chosen) for row, is_chosen in cells)
    table = f"<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>"
    width = _width_in_rem(heads, [row for row, _ in cells])
    which = f"cards-{width}"
    cards = _CARDS_CSS.replace("WIDTH", f"{width}rem").replace("WHICH", which)
    return f'<style>{_CSS}{cards}</style><div class="trials {which}">{table}</div>'


@dataclass(frozen=True)
class _Budget:
    """The KL budget, and whether trainings stop at it."""

    kl: float | None
    is_held: bool

    def is_passed_by(self, kl: float | None) -> bool:
        return self.kl is not None and kl is not None and kl > self.kl


_Cell = tuple[str, str]
"""Its class, and its content."""


def _cells(
    record: Mapping[Hashable, object],
    components: list[str],
    extras: list[str],
    landmarks: Landmarks,
    budget: _Budget,
    *,
    has_final: bool,
) -> tuple[list[_Cell], bool]:
    """The cells of a row, and whether it is the highlighted one."""
    weights = {name: _finite(record[WEIGHT_PREFIX + name]) or 0.0 for name in components}
    mean, sem, kl = (_finite(record.get(name)) for name in ("mean", "sem", "kl"))
    reward = _MISSING if mean is None else f"{mean:.3f}" + ("" if sem is None else f" <small>± {sem:.3f}</small>")
    is_passed, is_chosen = budget.is_passed_by(kl), record["index"] == landmarks.chosen
    passed = f"ended at the budget of {budget.kl:g}" if budget.is_held else f"over the budget of {budget.kl or 0:g}"
    status = _status(record)
    if is_chosen:
        why = escape(landmarks.why)
        # Whoever sees a row highlighted takes it for the thing to use.
        why += "; its own KL is over the budget" if is_passed and not budget.is_held else ""
        status += f"<br><small{' class=over' if is_passed and not budget.is_held else ''}>{why}</small>"
    cells = [
        ("", escape(record["index"])),
        ("", _bar(weights)),
        *(("", f"{weight:.2f}") for weight in weights.values()),
        *(("", _number(record.get(name), ".4g")) for name in extras),
        ("", reward),
        *([("", _number(record.get("final"), ".3f"))] if has_final else []),
        (
            "over" if is_passed and not budget.is_held else "",
            _number(kl, ".2f") + (f"<br><small>{passed}</small>" if is_passed else ""),
        ),
        ("", _number(record.get("seconds"), ".0f")),
        ("", _seeds(record.get("seeds"))),
        ("", escape(record.get("origin", ""))),
        ("status long" if "<small" in status else "status", status),
    ]
    return cells, is_chosen


def _row(heads: list[str], cells: list[_Cell], *, is_chosen: bool) -> str:
    content = "".join(
        f'<td class="{css}" data-head="{escape(head)}">{text}</td>'
        for head, (css, text) in zip(heads, cells, strict=True)
    )
    return f'<tr class="{"chosen" if is_chosen else ""}">{content}</tr>'


def _width_in_rem(heads: list[str], rows: list[list[_Cell]]) -> int:
    """How wide a place must be for all columns side by side: an upper bound."""
    total = _BAR_REM + _STATUS_REM + 2 * _PADDING_REM
    for i, head in enumerate(heads):
        if head in ("mixture", "status"):
            continue
        lines = [line for row in rows for line in re.sub(r"<(?!br)[^>]*>|&\w+;", "", row[i][1]).split("<br>")]
        total += _PADDING_REM + _DIGIT_REM * max(map(len, [head, *lines]))
    return math.ceil(total)


def _status(record: Mapping[Hashable, object]) -> str:
    step, attempt = (_finite(record.get(name)) for name in ("step", "attempt"))
    status = escape(str(record.get("status", "")).lower().replace("_", " "))
    status += "" if step is None else f" at step {step:.0f}"
    status += f", attempt {attempt:.0f}" if attempt is not None and attempt > 1 else ""
    reason, earlier = record.get("reason"), record.get("earlier")
    remarks = [reason] if isinstance(reason, str) and reason else []
    if isinstance(earlier, (list, tuple)):
        remarks += describe_attempts(earlier)
    return "<br>".join([status, *(f"<small>{escape(remark)}</small>" for remark in remarks)])


def _seeds(seeds: object) -> str:
    return escape(" ".join(map(str, seeds))) if isinstance(seeds, (list, tuple)) else _MISSING


def _bar(weights: dict[str, float]) -> str:
    colours = component_colours(list(weights))
    parts = "".join(
        f'<i style="width:{100 * min(max(weight, 0.0), 1.0):.1f}%;background:{colours[name]}"></i>'
        for name, weight in weights.items()
    )
    return f'<span class="bar">{parts}</span>'


def _finite(value: object) -> float | None:
    if isinstance(value, (int, float)) and math.isfinite(value):
        return float(value)
    return None


def _number(value: object, form: str) -> str:
    number = _finite(value)
    if number is None:
        return _MISSING if value is None or isinstance(value, float) else escape(value)
    return format(number, form)
