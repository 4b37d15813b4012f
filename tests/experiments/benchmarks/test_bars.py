import math

import pytest

from experiments.benchmarks.bars import Bar, as_json


@pytest.mark.parametrize(
    ("value", "direction", "passed"),
    [(1.0, "<=", True), (1.1, "<=", False), (1.0, ">=", True), (0.9, ">=", False)],
)
def test_a_bar_is_reached_at_its_limit(value, direction, passed):
    assert Bar("x", value, direction, 1.0).passed is passed


@pytest.mark.parametrize("direction", ["<=", ">="])
def test_no_number_reaches_no_bar(direction):
    assert as_json([Bar("x", math.nan, direction, 1.0)])[0]["passed"] is False
