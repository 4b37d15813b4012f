"""The recommendation as tables: its weights and parameters with intervals, and how probably it is the better choice."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from bo_shaping.text.escaping import escape
from bo_shaping.text.wording import describe_prob_best, describe_rivals

if TYPE_CHECKING:
    from bo_shaping.surrogate.recommendation import Best

TABLE_CSS = """
.rivals.rivals { table-layout: auto; border: 0; border-collapse: collapse; margin: 1.1rem 0 0; max-width: 100%;
  font-size: .86rem; line-height: 1.4; font-variant-numeric: tabular-nums; color: var(--bs-ink); }
.rivals.rivals th, .rivals.rivals td { text-align: left; padding: .34rem .6rem; border: 0;
  border-bottom: 1px solid var(--bs-rule); background: var(--bs-paper); white-space: normal; max-width: none;
  overflow-wrap: break-word; }
.rivals.rivals th { font-weight: 600; color: var(--bs-muted); font-size: .8rem;
  border-bottom: 2px solid var(--bs-strong-rule); }
"""
"""Style of the tables of this module; the colours are those of `theme_css`."""


def weights_table_html(best: "Best") -> str:
    """One row per weight and training parameter: the recommended value, and the 90 % interval of the best one."""
    values = {**best.weights, **best.parameters}
    rows = [(name, f"{value:.3g}", "{:.3g} to {:.3g}".format(*best.interval[name])) for name, value in values.items()]
    return table_html(("", "recommended", "90 %"), rows)


def rivals_html(best: "Best") -> str:
    """How probably the recommendation has more reward than each component alone, and how probably each is the best."""
    beats = describe_rivals(best.prob_better_than, best.weights)
    rows = [(name, beats.get(name, "–"), word) for name, word in describe_prob_best(best.prob_best).items()]
    return table_html(("Probability of", "the recommendation having more reward", "being the best, alone"), rows)


def table_html(heads: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    """Rows of texts under their heads; all of them are escaped."""
    head = "".join(f'<th scope="col">{escape(text)}</th>' for text in heads)
    body = "".join(f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in row)}</tr>" for row in rows)
    return f'<table class="rivals"><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>'
