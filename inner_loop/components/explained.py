"""Components that pay each unit what an explanation of the reward model says it earned.

.. [Koo2025] Learning Explainable Dense Reward Shapes via Bayesian Optimization. arXiv:2504.16272.
.. [Cao2025] SCAR: Shapley Credit Assignment for More Efficient RLHF. arXiv:2505.20417.
"""

import numpy as np

from inner_loop.attribution.credit import place_on_tokens
from inner_loop.components.spread import Spread


class _Explained:
    """The credit of a unit goes to the token that completes it, the base value where the configuration says.

    Shapley, Owen and prefix values sum to r(x, y) - r(x, nothing). The others sum to nothing in particular: their gap
    is spread evenly over the units that were read. Added, never multiplied: their sum can be near zero. A response of
    one unit or none has nothing to divide, and gets the sparse reward.
    """

    method: str

    def token_credit(self, spread: Spread) -> np.ndarray:
        credit = spread.credit
        if credit is None or len(credit.offsets) < 2:
            return spread.on_last_token()
        values = spread.sharpened(credit.values[self.method])
        gap = credit.full_value - credit.base_value - values.sum()
        values = values + gap * credit.is_read / credit.is_read.sum()
        tokens = place_on_tokens(credit.ends, values, spread.token_ends)
        return spread.with_the_rest(tokens)


class Shap(_Explained):
    """Shapley values of the units, as in [Koo2025]_ and [Cao2025]_."""

    method = "shapley"


class Lime(_Explained):
    """LIME coefficients of the units, as in [Koo2025]_, made to conserve the score."""

    method = "lime"


class Owen(_Explained):
    """Owen values over a partition tree of the units, as in [Cao2025]_."""

    method = "owen"


class Prefix(_Explained):
    """What the score changes by when the unit is added to those before it.

    The only one here that knows nothing of what comes later, so that reward-to-go is an unbiased gradient: the control
    for all the others. See `inner_loop.attribution.prefix`.
    """

    method = "prefix"


class LeaveOneOut(_Explained):
    """What the score loses when the unit is missing; free beside Shapley values (`attribution.single_units`)."""

    method = "leave_one_out"


class Solo(_Explained):
    """What the score gains when the unit stands alone behind the prompt; free beside Shapley values."""

    method = "solo"


class Gradient(_Explained):
    """First-order occlusion: one forward and one backward pass, no coalitions (`attribution.gradient`)."""

    method = "gradient"
