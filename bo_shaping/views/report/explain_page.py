"""The page of `bo-shaping explain`: what each unit of each response did to its score."""

from collections.abc import Sequence

from bo_shaping.text.escaping import escape, escape_marked
from bo_shaping.views.report.chips import (
    CHIP_CSS,
    RAMP_HTML,
    chip_html,
    decimals_for,
    direction,
    peak_value,
    signed,
    with_deviation,
)
from bo_shaping.views.report.frame import html_page
from bo_shaping.views.unread import unread_note
from inner_loop.attribution.credit import Credit

_LEGEND = (
    f'<p class="legend">{RAMP_HTML}'
    " <span>The number under a unit is its credit; ± is the posterior standard deviation of an estimated one.</span>"
    " <span>Shapley and Owen values sum to the score less the base value, which is the score with no unit present; "
    "other methods have sums of their own.</span>"
    " <span>Hover for more digits; colours are scaled per response.</span></p>"
)


def explain_page(credits_: Sequence[Credit], reward_model: str) -> str:
    """A self-contained page with one card per response and, in it, one row of units per method.

    All text that is not ours is escaped, hidden characters are spelt out, and every number is written under its unit
    with its sign, so nothing hangs on colour.

    Args:
        credits_: One per response.
        reward_model: What the reward model is called.
    """
    many = f"{len(credits_)} responses" if len(credits_) != 1 else "one response"
    body = (
        f'<header><p class="what-for">scored by the reward model <b>{escape(reward_model)}</b></p>'
        f"<h1>What each part of {many} did to the score</h1></header>"
        f"{credits_html(credits_)}"
    )
    return html_page("What earned the score", body)


def credits_html(credits_: Sequence[Credit], *, has_legend: bool = True) -> str:
    """The cards of the page alone, with their style; the legend may stand elsewhere already."""
    cards = "".join(_card(credit, i, len(credits_)) for i, credit in enumerate(credits_, start=1))
    return f'<style>{CHIP_CSS}</style><section class="tc">{_LEGEND if has_legend else ""}{cards}</section>'


def _card(credit: Credit, number: int, n_credits: int) -> str:
    scale = peak_value(credit.values)
    terms = (credit.full_value, credit.base_value, credit.full_value - credit.base_value)
    full, base, rest = (signed(value, decimals_for(scale)) for value in terms)
    facts = [
        *([f"response {number} of {n_credits}"] if n_credits > 1 else []),
        f"score <b>{full}</b> − base value {base} = {rest}",
        f"{credit.n_evaluations} evaluation{'s' * (credit.n_evaluations != 1)}",
    ]
    rows = "".join(_row(credit, method, scale) for method in credit.values)
    note = f'<p class="end">{escape(unread_note(credit))}</p>' if credit.unread else ""
    nothing = '<p class="end">The response has no units: there is nothing to credit.</p>'
    return (
        f'<div class="card"><p class="prompt">{" &nbsp;·&nbsp; ".join(facts)}<br>'
        f"prompt: <bdi>{escape_marked(credit.prompt)}</bdi></p>{rows if credit.offsets else nothing}{note}</div>"
    )


def _row(credit: Credit, method: str, scale: float) -> str:
    values, std = credit.values[method], credit.std.get(method)
    # Exact values have no deviation to show.
    deviations = std if std is not None and std.any() else [None] * len(values)
    digits = decimals_for(scale)
    units = zip(credit.units, values, deviations, strict=True)
    chips = "".join(_chip(unit, value, deviation, method, scale, digits) for unit, value, deviation in units)
    total = signed(float(values.sum()), digits)
    reading = direction(credit.response)
    return (
        f'<div class="row"><span class="name">{escape(method)}<br>sum {total}</span>'
        f'<div dir="{reading}">{chips}</div></div>'
    )


def _chip(unit: str, value: float, deviation: float | None, method: str, scale: float, digits: int) -> str:
    hover = f"{value:+.{digits + 2}f} by {method} for {unit!r}"
    small = signed(value, digits)
    if deviation is not None:
        hover += f", standard deviation {deviation:.{digits + 2}f}"
        small = with_deviation(small, f"{deviation:.{digits}f}")
    return chip_html(unit, value, hover, scale, small=small)
