import numpy as np
import pytest

from inner_loop.components import Spread


def sharpened(values, sharpness):
    return Spread(1.0, np.array([1]), None, sharpness=sharpness).sharpened(np.array(values))


@pytest.mark.parametrize("sharpness", [0.25, 0.5, 1.0, 2.0, 50.0])
def test_signs_and_the_sum_of_sizes_stay(sharpness):
    values = np.array([3.0, -1.0, 0.0, 0.5])
    result = sharpened(values, sharpness)
    assert np.abs(result).sum() == pytest.approx(4.5)
    assert np.sign(result).tolist() == [1, -1, 0, 1]


def test_above_one_the_largest_gets_more_and_below_one_less():
    values = [3.0, -1.0]
    np.testing.assert_allclose(sharpened(values, 2.0), [4 * 0.9, -4 * 0.1])
    np.testing.assert_allclose(sharpened(values, 1e-9), [2.0, -2.0], rtol=1e-6)
    np.testing.assert_array_equal(sharpened(values, 1.0), values)


def test_no_power_leaves_the_range_of_floats():
    assert sharpened([1e-300, 1e200], 40.0).tolist() == [0.0, 1e200]
    assert sharpened([0.0, 0.0], 0.5).tolist() == [0.0, 0.0]
    assert sharpened([], 0.5).tolist() == []
