import numpy as np
import pytest

from bo_shaping.views.report.projection import project, spread_apart


def test_three_corners_form_the_unit_triangle():
    np.testing.assert_allclose(project(np.eye(3)), [[0, 0], [1, 0], [0.5, 0.8660254037844386]], atol=1e-12)


def test_the_uniform_mixture_is_the_centroid_and_half_and_half_the_middle_of_an_edge():
    points = project([[1 / 3, 1 / 3, 1 / 3], [0, 0.5, 0.5]])
    np.testing.assert_allclose(points, [[0.5, 0.28867513459], [0.75, 0.43301270189]], atol=1e-10)


def test_two_components_are_a_line_whose_position_is_the_second_weight():
    np.testing.assert_allclose(project([[0.25, 0.75]]), [[0.75, 0.0]])


def test_more_components_have_no_plane():
    with pytest.raises(ValueError, match="got 4"):
        project(np.eye(4))


def test_a_pile_of_points_is_spread_until_labels_fit():
    placed = spread_apart(np.zeros((6, 2)), 0.05)
    gaps = np.linalg.norm(placed[:, None] - placed[None], axis=-1)[np.triu_indices(6, 1)]
    assert gaps.min() >= 0.05 * 0.999
    assert np.abs(placed).max() < 0.15


def test_points_make_room_for_an_anchor_that_stays():
    placed = spread_apart(np.array([[0.01, 0.0], [0.5, 0.5]]), 0.05, anchors=np.zeros((1, 2)))
    np.testing.assert_allclose(placed, [[0.05, 0.0], [0.5, 0.5]], atol=1e-3)


def test_points_with_room_stay_where_they_are():
    points = np.array([[0.0, 0.0], [0.1, 0.0], [0.0, 0.2]])
    np.testing.assert_array_equal(spread_apart(points, 0.05), points)
