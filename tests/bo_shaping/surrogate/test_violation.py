import numpy as np

from bo_shaping.config.limits import parse_constraint
from bo_shaping.surrogate.violation import violation


def test_violations_add_up_in_units_of_their_bounds():
    limits = [parse_constraint("kl <= 8"), parse_constraint("length >= 0.5 * baseline")]
    values = {"kl": np.array([8.0, 10.0, 12.0]), "length": np.array([20.0, 10.0, 5.0])}
    baseline = {"kl": 1.0, "length": 40.0}
    # KL 2 and 4 over 8; length 0, 10 and 15 under 20.
    np.testing.assert_allclose(violation(limits, values, baseline), [0.0, 0.25 + 0.5, 0.5 + 0.75])
