"""Token credit as HTML: what each component paid to each token of a response, and what the mixture paid."""

from collections.abc import Mapping, Sequence

import numpy as np

from bo_shaping.text.escaping import escape, escape_marked
from bo_shaping.views.report.chips import CHIP_CSS, RAMP_HTML, chip_html, direction
from inner_loop.spec import ExplainedResponse


def token_credit_html(
    samples: Sequence[ExplainedResponse],
    weights: Mapping[str, float] | None = None,
    *,
    max_responses: int = 4,
) -> str:
    """A self-contained HTML fragment with one card per response and one row per component, the mixture last.

    All model text is escaped, hidden characters are spelt out, and every number is written under its token with its
    sign, so nothing hangs on colour.

    Args:
        samples: Explained responses; when there are more than `max_responses`, they are taken evenly from the highest
            to the lowest score.
        weights: Mixing weights to write beside the components' names.
        max_responses: Most responses to show.
    """
    if not samples:
        return ""
    cards = "".join(_card(sample, weights or {}) for sample in _spread_by_score(samples, max_responses))
    return f'<style>{CHIP_CSS}</style><div class="tc">{_LEGEND}{cards}</div>'


_LEGEND = (
    f'<p class="legend">{RAMP_HTML}'
    "<span>The number under a token is its credit; the credits of a row sum to the score.</span>"
    "<span>The last token also carries the score of the empty response, which no token earned.</span>"
    "<span>Hover for more digits; colours are scaled per response, the last token aside.</span></p>"
)


def _spread_by_score(samples: Sequence[ExplainedResponse], most: int) -> list[ExplainedResponse]:
    ranked = sorted(samples, key=lambda sample: sample.score, reverse=True)
    if len(ranked) <= most:
        return ranked
    places = np.linspace(0, len(ranked) - 1, most).round().astype(int)
    return [ranked[place] for place in places]


def _card(sample: ExplainedResponse, weights: Mapping[str, float]) -> str:
    ordered = [name for name in weights if name in sample.components]
    ordered += [name for name in sample.components if name not in weights]
    rows = [(name, sample.components[name], weights.get(name), "row") for name in ordered]
    rows.append(("mixture", sample.rewards, None, "row mix"))
    # The last token carries the base value, or the whole score: scaled by it, the colours of all others would fade.
    peaks = [max(map(abs, credit[:-1]), default=0.0) for _, credit, _, _ in rows]
    scale = max(peaks) or max((abs(credit[-1]) for _, credit, _, _ in rows if credit), default=0.0)
    unread = "".join(token for token, is_unread in zip(sample.tokens, sample.unread, strict=False) if is_unread)
    not_read = f"<br>not read by the reward model: <bdi>{escape_marked(unread)}</bdi>" if unread else ""
    body = "".join(_row(name, sample.tokens, credit, weight, css, scale) for name, credit, weight, css in rows)
    return (
        f'<div class="card"><p class="prompt">score <b>{sample.score:+.2f}</b> &nbsp;·&nbsp; '
        f"empty response {sample.base_value:+.2f} &nbsp;·&nbsp; prompt: <bdi>{escape_marked(sample.prompt)}</bdi>"
        f"{not_read}</p>{body}</div>"
    )


def _row(
    name: str, tokens: Sequence[str], credit: Sequence[float], weight: float | None, css: str, scale: float
) -> str:
    label = escape(name) + ("" if weight is None else f" × {weight:.2f}")
    chips = "".join(_chip(token, value, name, scale) for token, value in zip(tokens, credit, strict=True))
    reading = direction("".join(tokens))
    return f'<div class="{css}"><span class="name">{label}</span><div dir="{reading}">{chips}</div></div>'


def _chip(token: str, value: float, name: str, scale: float) -> str:
    hover = f"{value:+.4f} by {name} for {token!r}" if token else f"{value:+.4f} by {name}, end of the response"
    return chip_html(token, value, hover, scale)
