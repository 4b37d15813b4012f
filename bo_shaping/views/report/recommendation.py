"""The recommendation as tables: its weights and parameters with intervals, and how probably it is the better choice."""

from typing import TYPE_CHECKING

from bo_shaping.text.wording import describe_prob_best, describe_rivals, describe_value
from bo_shaping.views.html_table import html_table
from bo_shaping.views.spread import spread_text

if TYPE_CHECKING:
    from bo_shaping.surrogate.recommendation import Best

TABLE_CSS = """
.rivals.rivals { table-layout: auto; border: 0; border-collapse: collapse; margin: 1.1rem 0 0; max-width: 100%;
  font-size: .86rem; line-height: 1.4; font-variant-numeric: tabular-nums; color: var(--bs-ink); }
.rivals.rivals th, .rivals.rivals td { text-align: left; padding: .34rem .6rem; border: 0;
  border-bottom: 1px solid var(--bs-rule); background: var(--bs-paper); white-space: normal; max-width: none;
  overflow-wrap: break-word; }
.rivals.rivals th { font-weight: 600; color: var(--bs-muted); font-size: .8rem; }
.rivals.rivals thead th, .rivals.rivals thead td { border-bottom: 2px solid var(--bs-strong-rule); }
.rivals.rivals tbody th { font-weight: 400; color: inherit; font-size: inherit; }
.wide { overflow-x: auto; }
"""
"""Style of the tables of this module; the colours are those of `theme_css`."""


def weights_table_html(best: "Best") -> str:
    """One row per weight and training parameter: the recommended value, and the 90 % interval of the best one.

    Of a parameter with a few values it is how probably each is the best.
    """
    values = {**best.weights, **best.parameters}
    rows = [(name, describe_value(value), spread_text(best, name)) for name, value in values.items()]
    head = "90 %, or the probability of each value" if best.prob_value else "90 %"
    return html_table(("", "recommended", head), rows, "Recommended weights and parameters")


def rivals_html(best: "Best") -> str:
    """How probably the recommendation has more reward than each component alone, and how probably each is the best."""
    beats = describe_rivals(best.prob_better_than, best.weights)
    rows = [(name, beats.get(name, "–"), word) for name, word in describe_prob_best(best.prob_best).items()]
    heads = ("Probability of", "the recommendation having more reward", "being the best, alone")
    return html_table(heads, rows, "How probably each component is better, or the best")
