"""How alike the components of a study pay, on a terminal and in the report."""

from itertools import combinations

from rich.console import Console
from rich.table import Table
from rich.text import Text

from bo_shaping.views.html_table import html_table
from inner_loop.spec.credit_similarity import CreditSimilarity

TITLE = "How alike the components pay"
SHARE = "tokens paid"


def print_warnings(console: Console, similarity: CreditSimilarity) -> None:
    """One line per component that pays as another does."""
    for warning in similarity.warnings():
        console.print(Text(f"Note: {warning}"), soft_wrap=True)


def similarity_line(similarity: CreditSimilarity) -> str:
    """What each component pays, and which two are most alike, in one line."""
    rows = zip(similarity.components, similarity.token_share, strict=True)
    paid = ", ".join(f"{name} {100 * share:.0f} %" for name, share in rows)
    pairs = [
        (value, first, second)
        for (i, first), (j, second) in combinations(enumerate(similarity.components), 2)
        if (value := similarity.correlation[i][j]) is not None
    ]
    if not pairs:
        return f"{SHARE}: {paid}"
    value, first, second = max(pairs)
    return f"{SHARE}: {paid}; most alike: {first} and {second}, correlation {value:.2f} within a response"


def print_similarity(console: Console, similarity: CreditSimilarity) -> None:
    """The correlations within a response, and the share of the tokens that each component pays; then the warnings."""
    table = Table(box=None, header_style="bold", pad_edge=False, title=TITLE, title_justify="left")
    for heading in ("", *similarity.components, SHARE):
        table.add_column(heading, justify="left" if not heading else "right", no_wrap=True)
    for row in similarity_rows(similarity):
        table.add_row(*map(Text, row))
    console.print(table)
    print_warnings(console, similarity)


def similarity_html(similarity: CreditSimilarity | None) -> str:
    """The same as a section of the report; empty without anything to show."""
    if similarity is None:
        return ""
    table = html_table(("", *similarity.components, SHARE), similarity_rows(similarity), "Correlation of components")
    return (
        f'<section><h2>{TITLE}</h2><p class="lead">Correlation of their credit within a response, over '
        f"{similarity.n_responses} responses; and the share of the tokens that each pays, effectively. What correlates "
        "near 1 cannot be told apart by any training.</p>"
        f"{table}</section>"
    )


def similarity_rows(similarity: CreditSimilarity) -> list[list[str]]:
    """One row per component: its name, its correlation with each, and the share of tokens it pays."""
    return [
        [name, *("–" if value is None else f"{value:.2f}" for value in correlations), f"{100 * share:.0f} %"]
        for name, correlations, share in zip(
            similarity.components, similarity.correlation, similarity.token_share, strict=True
        )
    ]
