"""The text plot of the shap package, as HTML that runs no script and takes no text for markup."""

import html
import re

import numpy as np

from bo_shaping.text.hidden_characters import visible_text
from inner_loop.attribution.credit import Credit
from inner_loop.attribution.library import to_shap


def shap_text_html(credit: Credit, method: str = "shapley") -> str:
    """`shap.plots.text` of a credit; empty for a response of no units.

    Args:
        credit: What to show.
        method: Which of its values.
    """
    import shap

    if not credit.offsets:
        return ""
    explanation = to_shap([credit], method)[0]
    # The package escapes less than what may stand in a model's text.
    explanation.data = np.array([html.escape(visible_text(unit)) for unit in credit.units], dtype=object)
    plot = re.sub(r"""\son\w+\s*=\s*("[^"]*"|'[^']*')""", "", shap.plots.text(explanation, display=False))
    # It writes colours as NumPy shows its numbers, which no browser reads.
    return re.sub(r"np\.float\d+\(([-+.\de]+)\)", r"\1", plot)
