"""Token credit as HTML: what each component paid to each token of a response, and what the mixture paid."""

import math
from collections.abc import Mapping, Sequence

import numpy as np

from bo_shaping.report.escaping import escape, escape_marked
from inner_loop.spec import ExplainedResponse

# As in SHAP's plots red raises the score and blue lowers it; this red and blue stay apart for colour-blind eyes.
_POSITIVE_RGB = "214,81,58"
_NEGATIVE_RGB = "44,123,182"
_MAX_ALPHA = 0.78

_CSS = f"""
.tc {{ font-family: system-ui, -apple-system, "Segoe UI", Roboto, sans-serif; color: #1f2733; }}
.tc .legend {{ display: flex; flex-wrap: wrap; gap: .4rem 1.4rem; font-size: .82rem; color: #59636f;
  margin: 0 0 .8rem; }}
.tc .ramp {{ display: inline-block; width: 9rem; height: .7rem; vertical-align: -.05rem; border-radius: 3px;
  background: linear-gradient(to right, rgba({_NEGATIVE_RGB},{_MAX_ALPHA}), #fff,
  rgba({_POSITIVE_RGB},{_MAX_ALPHA})); }}
.tc .card {{ border: 1px solid #e3e7ec; border-radius: 8px; padding: .8rem 1rem; margin: 0 0 1rem; background: #fff; }}
.tc .prompt {{ margin: 0 0 .6rem; font-size: .9rem; color: #59636f; white-space: pre-wrap; overflow-wrap: anywhere; }}
.tc .row {{ display: grid; grid-template-columns: 6.2rem 1fr; align-items: start; padding: .28rem 0; }}
.tc .row + .row {{ border-top: 1px solid #f0f2f5; }}
.tc .row.mix {{ border-top: 2px solid #c3c9d1; }}
.tc .name {{ font-size: .82rem; color: #59636f; padding-top: .2rem; }}
.tc .mix .name {{ color: #1f2733; font-weight: 650; }}
.tc .tok {{ display: inline-block; min-width: 2.5rem; text-align: center; vertical-align: top; padding: .12rem .15rem;
  margin: 0 .1rem .15rem 0; border-radius: 4px; font-size: .9rem; line-height: 1.25; }}
.tc .tok bdi {{ white-space: pre-wrap; overflow-wrap: anywhere; }}
.tc .tok small {{ display: block; font-size: .66rem; font-variant-numeric: tabular-nums; color: #3b4550; }}
.tc .esc {{ font-family: ui-monospace, Menlo, Consolas, monospace; font-size: .78em; color: #4a1668;
  border: 1px dotted #6d4a86; border-radius: 3px; padding: 0 .1em; }}
.tc .end {{ color: #3b4550; font-style: italic; font-size: .8rem; }}
"""


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
    return f'<style>{_CSS}</style><div class="tc">{_LEGEND}{cards}</div>'


_LEGEND = (
    '<p class="legend"><span>lowers the score − <span class="ramp"></span> + raises the score</span>'
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
    body = "".join(_row(name, sample.tokens, credit, weight, css, scale) for name, credit, weight, css in rows)
    return (
        f'<div class="card"><p class="prompt">score <b>{sample.score:+.2f}</b> &nbsp;·&nbsp; '
        f"empty response {sample.base_value:+.2f} &nbsp;·&nbsp; prompt: <bdi>{escape_marked(sample.prompt)}</bdi></p>"
        f"{body}</div>"
    )


def _row(
    name: str, tokens: Sequence[str], credit: Sequence[float], weight: float | None, css: str, scale: float
) -> str:
    label = escape(name) + ("" if weight is None else f" × {weight:.2f}")
    chips = "".join(_chip(token, value, name, scale) for token, value in zip(tokens, credit, strict=True))
    return f'<div class="{css}"><span class="name">{label}</span><div>{chips}</div></div>'


def _chip(token: str, value: float, name: str, scale: float) -> str:
    text = f"<bdi>{escape_marked(token)}</bdi>" if token else '<span class="end">end</span>'
    hover = escape(f"{value:+.4f} by {name} for {token!r}" if token else f"{value:+.4f} by {name}, end of the response")
    return (
        f'<span class="tok" style="background:{_background(value, scale)}" title="{hover}">'
        f"{text}<small>{_signed(value)}</small></span>"
    )


def _background(value: float, scale: float) -> str:
    share = abs(value) / scale if scale > 0 and math.isfinite(value) else 0.0
    alpha = _MAX_ALPHA * min(share, 1.0)
    return f"rgba({_POSITIVE_RGB if value >= 0 else _NEGATIVE_RGB},{alpha:.2f})"


def _signed(value: float) -> str:
    # A true minus sign is as wide as the plus; a credit that rounds to zero has no sign to read.
    text = f"{value:+.2f}"
    return "0" if float(text) == 0 else text.replace("-", "−")
