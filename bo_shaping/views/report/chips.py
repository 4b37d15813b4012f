"""Chips: texts with the signed number that each was credited under it, in the colours of the report."""

import math
import unicodedata
from collections.abc import Mapping

import numpy as np

from bo_shaping.text.escaping import escape, escape_marked
from bo_shaping.views.report.theme import theme_css

# As in SHAP's plots red raises the score and blue lowers it; this red and blue stay apart for colour-blind eyes.
_POSITIVE_RGB = (214, 81, 58)
_NEGATIVE_RGB = (44, 123, 182)
_MAX_ALPHA = 0.78

_SIGNIFICANT_DIGITS = 4
_MAX_DECIMALS = 9


def _rgba(rgb: tuple[int, int, int], alpha: float) -> str:
    return f"rgba({rgb[0]},{rgb[1]},{rgb[2]},{alpha:.2f})"


CHIP_CSS = f"""
{theme_css(".tc")}
.tc {{ font-family: system-ui, -apple-system, "Segoe UI", Roboto, sans-serif; color: var(--bs-ink);
  font-size: 16px; line-height: 1.5; }}
.tc .legend {{ display: flex; flex-wrap: wrap; gap: .4rem 1.4rem; font-size: .82rem; color: var(--bs-muted);
  margin: 0 0 .8rem; }}
.tc .ramp {{ display: inline-block; width: 9rem; height: .7rem; vertical-align: -.05rem; border-radius: 3px;
  background: linear-gradient(to right, {_rgba(_NEGATIVE_RGB, _MAX_ALPHA)}, transparent,
  {_rgba(_POSITIVE_RGB, _MAX_ALPHA)}); }}
.tc .card {{ border: 1px solid var(--bs-rule); border-radius: 8px; padding: .8rem 1rem; margin: 0 0 1rem;
  background: var(--bs-paper); }}
.tc .prompt {{ margin: 0 0 .6rem; font-size: .9rem; color: var(--bs-muted); white-space: pre-wrap;
  overflow-wrap: anywhere; }}
.tc .prompt b, .tc .prompt .written {{ color: var(--bs-ink); }}
.tc .row {{ display: grid; grid-template-columns: 7.4rem minmax(0, 1fr); align-items: start; padding: .28rem 0; }}
.tc .row + .row {{ border-top: 1px solid var(--bs-rule); }}
.tc .row.mix {{ border-top: 2px solid var(--bs-strong-rule); }}
.tc .name {{ font-size: .82rem; color: var(--bs-muted); padding: .2rem .4rem 0 0; overflow-wrap: anywhere; }}
.tc .mix .name {{ color: var(--bs-ink); font-weight: 650; }}
.tc .tok {{ display: inline-block; min-width: 2.5rem; max-width: 100%; text-align: center; vertical-align: top;
  padding: .12rem .15rem; margin: 0 .1rem .15rem 0; border-radius: 4px; font-size: .9rem; line-height: 1.25; }}
.tc .tok.on {{ margin-right: 0; border-top-right-radius: 0; border-bottom-right-radius: 0; }}
.tc .tok bdi {{ white-space: pre-wrap; overflow-wrap: anywhere; }}
.tc .sep {{ display: none; }}
.tc .tok small .std {{ display: block; }}
.tc .tok small {{ display: block; font-size: .66rem; line-height: 1.35; font-variant-numeric: tabular-nums; }}
.tc .esc {{ font-family: ui-monospace, Menlo, Consolas, monospace; font-size: .78em; color: var(--bs-spelt);
  border: 1px dotted currentColor; border-radius: 3px; padding: 0 .1em; }}
.tc .end {{ color: var(--bs-muted); font-style: italic; font-size: .8rem; }}
.tc .tok .end {{ color: inherit; }}
"""

_SPACE, _BAR = '<span class="sep"> </span>', '<span class="sep"> | </span>'
"""Seen only where the style is lost, as in a notebook that nobody has trusted: what keeps texts and numbers apart."""

RAMP_HTML = '<span>lowers the score − <span class="ramp"></span> + raises the score</span>'
"""Legend of the colours."""


def chip_html(
    text: str,
    value: float,
    hover: str,
    scale: float,
    *,
    small: str = "",
    with_end: bool = False,
    goes_on: bool = False,
) -> str:
    """One chip: the text on the colour of its value, the signed value under it.

    Args:
        text: Any text; empty for the end of the response.
        value: What it was credited.
        hover: Shown when the pointer rests on the chip.
        scale: The value of the strongest colour.
        small: HTML to write under the text instead of the value to two decimals.
        with_end: Whether the value holds what is paid for the end of the response, too.
        goes_on: Whether the text goes on in the next chip without a space.
    """
    shown = f"<bdi>{escape_marked(text)}</bdi>" if text else '<span class="end">end</span>'
    shown += '<span class="end"> + end</span>' if text and with_end else ""
    # In text that runs from right to left, a sign would otherwise end up behind its number.
    css, colour = "tok on" if goes_on else "tok", _rgba(*shade(value, scale))
    return (
        f'<span class="{css}" style="background:{colour}" title="{escape(hover)}">'
        f'{shown}{_SPACE}<small dir="ltr">{small or signed(value)}</small></span>{_BAR}'
    )


def with_deviation(value: str, deviation: str) -> str:
    """HTML for `small`: a value, and its standard deviation under it."""
    return f'{value}{_SPACE}<span class="std">±{deviation}</span>'


def direction(text: str) -> str:
    """`rtl` if the first letter of the text belongs to a script that runs from right to left, else `ltr`.

    >>> direction("... שלום, world")
    'rtl'
    """
    for character in text:
        match unicodedata.bidirectional(character):
            case "R" | "AL":
                return "rtl"
            case "L":
                return "ltr"
    return "ltr"


def shade(value: float, scale: float) -> tuple[tuple[int, int, int], float]:
    """Colour of a value, and its opacity on white: stronger towards `scale`, and no stronger beyond."""
    share = abs(value) / scale if scale > 0 and math.isfinite(value) else 0.0
    return _POSITIVE_RGB if value >= 0 else _NEGATIVE_RGB, _MAX_ALPHA * min(share, 1.0)


def peak_value(values: Mapping[str, np.ndarray]) -> float:
    """The largest absolute value of any method: the scale of a response's colours and decimals."""
    return max((float(np.abs(row).max()) for row in values.values() if len(row)), default=0.0)


def signed(value: float, decimals: int = 2) -> str:
    """The value with its sign, a true minus as wide as the plus; one that rounds to zero has no sign to read."""
    text = f"{value:+.{decimals}f}"
    return "0" if float(text) == 0 else text.replace("-", "−")


def decimals_for(scale: float) -> int:
    """Decimals that give a value of size `scale` four significant digits."""
    if scale <= 0 or not math.isfinite(scale):
        return 2
    return min(max(_SIGNIFICANT_DIGITS - 1 - math.floor(math.log10(scale)), 0), _MAX_DECIMALS)
