"""The table of all trials as HTML, failed ones with their reason."""

import math
from collections.abc import Hashable, Mapping

import pandas as pd

from bo_shaping.text.escaping import escape
from bo_shaping.text.wording import describe_attempts
from bo_shaping.views.report.style import component_colours
from bo_shaping.views.report.trial_frame import WEIGHT_PREFIX, Landmarks, component_names, extra_parameters

_CSS = """
.trials { overflow-x: auto; color: #1f2733; }
.trials table { width: 100%; border-collapse: collapse; font-size: .86rem; font-variant-numeric: tabular-nums; }
.trials th { text-align: right; font-weight: 600; color: #59636f; font-size: .8rem; border-bottom: 2px solid #c3c9d1; }
.trials td { text-align: right; border-bottom: 1px solid #eef0f3; white-space: nowrap; }
.trials th, .trials td { padding: .34rem .6rem; background: #fff; }
.trials th:nth-child(2), .trials td:nth-child(2), .trials th:last-child, .trials td.status { text-align: left; }
.trials td.status { white-space: normal; min-width: 9rem; max-width: 22rem; }
.trials td small { color: #59636f; overflow-wrap: anywhere; }
.trials td.over { color: #a33a1d; }
.trials tr.chosen td { background: #fdf1f2; font-weight: 600; }
.trials .bar { display: inline-flex; width: 6.5rem; height: .7rem; border-radius: 3px; overflow: hidden;
  background: #eef0f3; vertical-align: middle; }
.trials .bar i { display: block; height: 100%; }
.trials .none { color: #8a929c; }
"""
_MISSING = '<span class="none">–</span>'


def trial_table_html(trials: pd.DataFrame, landmarks: Landmarks, *, kl_budget: float | None = None) -> str:
    """One row per trial: weights as numbers and as a bar, extra parameters, outcome, seeds, origin, status, reason."""
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
    rows = "".join(
        _row(record, components, extras, landmarks, kl_budget, has_final=has_final)
        for record in trials.sort_values("index").to_dict("records")
    )
    table = f"<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>"
    return f'<style>{_CSS}</style><div class="trials">{table}</div>'


def _row(
    record: Mapping[Hashable, object],
    components: list[str],
    extras: list[str],
    landmarks: Landmarks,
    kl_budget: float | None,
    *,
    has_final: bool,
) -> str:
    weights = {name: _finite(record[WEIGHT_PREFIX + name]) or 0.0 for name in components}
    mean, sem, kl = (_finite(record.get(name)) for name in ("mean", "sem", "kl"))
    reward = _MISSING if mean is None else f"{mean:.3f}" + ("" if sem is None else f" <small>± {sem:.3f}</small>")
    over = kl is not None and kl_budget is not None and kl > kl_budget
    cells = [
        f"<td>{escape(record['index'])}</td>",
        f"<td>{_bar(weights)}</td>",
        *(f"<td>{weight:.2f}</td>" for weight in weights.values()),
        *(f"<td>{_number(record.get(name), '.4g')}</td>" for name in extras),
        f"<td>{reward}</td>",
        *([f"<td>{_number(record.get('final'), '.3f')}</td>"] if has_final else []),
        f'<td class="{"over" if over else ""}">{_number(kl, ".2f")}{" &gt; budget" if over else ""}</td>',
        f"<td>{_number(record.get('seconds'), '.0f')}</td>",
        f"<td>{_seeds(record.get('seeds'))}</td>",
        f"<td>{escape(record.get('origin', ''))}</td>",
        f'<td class="status">{_status(record)}</td>',
    ]
    chosen = record["index"] == landmarks.chosen
    return f'<tr class="{"chosen" if chosen else ""}">{"".join(cells)}</tr>'


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
