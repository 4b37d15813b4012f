"""How alike the components pay, as a table of colours with the numbers in it."""

import numpy as np
from matplotlib.figure import Figure

from bo_shaping.views.report.style import INK, MUTED, new_figure, say_nothing_yet
from inner_loop.spec.credit_similarity import CreditSimilarity


def alike_figure(similarity: CreditSimilarity | None) -> Figure:
    """The correlation of each two components' credit; a cell without a number could not be measured."""
    if similarity is None:
        return say_nothing_yet("No explained response yet")
    k = len(similarity.components)
    figure = new_figure(2.6 + 0.75 * k, 1.3 + 0.5 * k)
    ax = figure.add_subplot()
    values = np.array([[np.nan if v is None else v for v in row] for row in similarity.correlation], dtype=float)
    # Blue and red that stay apart for colour-blind eyes; white is no correlation.
    image = ax.imshow(values, cmap="RdBu_r", vmin=-1, vmax=1, aspect="auto")
    for i, row in enumerate(values):
        for j, value in enumerate(row):
            is_known, is_strong = not np.isnan(value), abs(value) > 0.6
            colour = ("#fdfdfd" if is_strong else "#101418") if is_known else MUTED
            ax.text(j, i, f"{value:.2f}" if is_known else "–", ha="center", va="center", fontsize=9, color=colour)
    ax.set_xticks(
        range(k),
        similarity.components,
        parse_math=False,
        rotation=25 if k > 4 else 0,
        ha="right" if k > 4 else "center",
    )
    ax.set_yticks(range(k), similarity.components, parse_math=False)
    ax.tick_params(labelsize=9, labelcolor=INK, length=0)
    for spine in ax.spines.values():
        spine.set_visible(False)
    bar = figure.colorbar(image, ax=ax, shrink=0.85, pad=0.03)
    bar.ax.tick_params(labelsize=8, labelcolor=INK)
    bar.outline.set_visible(False)
    return figure
