import numpy as np
import pytest

from bo_shaping.config import ObjectiveConfig
from bo_shaping.constraints import constraints_of, parse_constraint, violation
from bo_shaping.errors import ConfigError


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("entropy >= 1.5", ("entropy", ">=", 1.5, False)),
        (" length>=0.9*baseline ", ("length", ">=", 0.9, True)),
        ("kl <= 1e1", ("kl", "<=", 10.0, False)),
    ],
)
def test_a_constraint_is_read(text, parts):
    constraint = parse_constraint(text)
    assert (constraint.metric, constraint.sign, constraint.bound, constraint.relative) == parts


@pytest.mark.parametrize("text", ["length > 3", "length >= baseline * 0.9", "length >= x", "", "length + kl >= 2"])
def test_what_is_no_constraint_is_said_with_an_example(text):
    with pytest.raises(ConfigError, match=r"A constraint looks like 'entropy >= 1.5'"):
        parse_constraint(text)


def test_a_metric_that_nobody_measures_is_an_error_with_the_nearest_one():
    with pytest.raises(ConfigError, match="did you mean 'length'"):
        parse_constraint("lenght >= 3")


def test_the_kl_budget_comes_first():
    objective = ObjectiveConfig(constraints=("entropy >= 1",))
    assert [str(c) for c in constraints_of(objective)] == ["kl <= 8", "entropy >= 1"]


def test_violations_add_up_in_units_of_their_bounds():
    constraints = [parse_constraint("kl <= 8"), parse_constraint("length >= 0.5 * baseline")]
    values = {"kl": np.array([8.0, 10.0, 12.0]), "length": np.array([20.0, 10.0, 5.0])}
    baseline = {"kl": 1.0, "length": 40.0}
    # KL 2 and 4 over 8; length 0, 10 and 15 under 20.
    np.testing.assert_allclose(violation(constraints, values, baseline), [0.0, 0.25 + 0.5, 0.5 + 0.75])
