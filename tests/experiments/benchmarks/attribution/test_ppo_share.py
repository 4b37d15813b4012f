import pytest

from experiments.benchmarks.attribution.ppo_share import bars, in_steps


def test_the_share_is_of_the_step_without_evaluation():
    # One second of each credit phase goes into scores, which a sparse training needs, too.
    runs = [{"sample": 1.0, "attribute": credit + 1.0, "update": 2.0} for credit in (1.0, 2.0, 4.0)]
    [bar] = bars({"seconds": runs, "scoring_seconds": [1.0, 1.0, 1.0]})
    assert (bar.low, bar.value, bar.high) == pytest.approx((0.2, 1 / 3, 0.5))
    assert not bar.passed


def test_only_the_phases_of_a_step_count():
    seconds = {"setup": 9.0, "sample": 1.0, "attribute": 1.0, "update": 2.0, "evaluate": 5.0, "explain": 3.0}
    assert in_steps(seconds) == {"sample": 1.0, "attribute": 1.0, "update": 2.0}
