"""What is read off the curves of the trainings, and how it is summarised."""

import pytest

from experiments.benchmarks.trl_dense_credit import SCALAR, first_reached, read_off, summary, table_of


def run(rewards, kls, seed=0):
    return {"seed": seed, "step": [0, 4, 8], "reward": rewards, "kl": kls, "cpu_seconds": 1.0}


def test_a_level_is_reached_between_two_points():
    assert first_reached([0, 4, 8], [0.0, 1.0, 3.0], 2.0) == 6.0
    assert first_reached([0, 4, 8], [0.0, 3.0, 1.0], 1.5) == 2.0
    assert first_reached([5, 6], [2.0, 3.0], 1.0) == 5.0
    assert first_reached([0, 4], [0.0, 1.0], 2.0) is None


def test_rewards_are_compared_at_equal_kl_and_steps_at_equal_reward():
    read = read_off(run([0.0, 1.0, 2.0], [0.0, 2.0, 3.0]), run([0.0, 0.25, 0.5], [0.0, 0.5, 0.75]))
    assert read["final reward"] == 2.0
    assert read["reward at KL 1"] == 0.5
    assert read["reward at KL 4"] is None
    # Scalar ends with 0.5, which is half way to the first point.
    assert read["steps to scalar's final reward"] == 2.0
    assert read["mean reward over steps"] == 1.0


def test_differences_are_paired_by_seed():
    # Seeds differ by ten, arms by one and by three: a mean of two, and a standard error of one.
    scalar = [run([0, 0, 0.0], [0, 2, 5]), run([0, 0, 10.0], [0, 2, 5])]
    dense = [run([0, 0, 1.0], [0, 2, 5]), run([0, 0, 13.0], [0, 0.5, 0.9])]
    records = {(record["measure"], record["arm"]): record for record in summary({SCALAR: scalar, "weights": dense})}
    mean, low, high = records["final reward", "weights"]["less scalar"]
    assert mean == 2.0
    assert (low, high) == (pytest.approx(2 - 12.706, abs=1e-3), pytest.approx(2 + 12.706, abs=1e-3))
    assert records["reward at KL 4", "weights"]["seeds"] == 1
    assert records["reward at KL 4", "weights"]["pairs"] == 1
    assert records["reward at KL 4", "weights"]["less scalar"] is None
    assert "less scalar" not in records["final reward", SCALAR]
    assert "weights" in table_of(list(records.values()))
