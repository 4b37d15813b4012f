"""What matters: which part of the search space makes the difference, and what leaving a component out would cost."""

from typing import TYPE_CHECKING

from bo_shaping.text.escaping import escape
from bo_shaping.text.wording import percent
from bo_shaping.views.html_table import html_table

if TYPE_CHECKING:
    from bo_shaping.surrogate.recommendation import Best


def importance_html(best: "Best") -> str:
    """Bars of total Sobol indices, and a table of expected losses; empty if neither is known."""
    bars = "".join(
        f'<tr><th scope="row">{escape(name)}</th><td><div class="bar" '
        f'style="width:{100 * min(max(share, 0.0), 1.0):.0f}%"></div></td>'
        f"<td>{percent(share)}</td></tr>"
        for name, share in sorted(best.matters.items(), key=lambda item: -item[1])
    )
    losses = [(name, f"{cost.mean:+.2f}", f"± {cost.sd:.2f}") for name, cost in best.leaving_out.items()]
    parts = []
    if bars:
        parts.append(
            '<table class="rivals matters"><thead><tr><th scope="col">what</th><th scope="col">share of the '
            "differences "
            "that would be left if all else were known</th><td></td></tr></thead>"
            f"<tbody>{bars}</tbody></table>"
        )
    if losses:
        heads = ("without", "expected loss of reward", "standard deviation")
        parts.append(html_table(heads, losses, "Expected loss without a component"))
    return "".join(parts)
