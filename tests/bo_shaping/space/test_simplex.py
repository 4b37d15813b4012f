import itertools
import random

import numpy as np
import pytest
from scipy.optimize import minimize

from bo_shaping.config.weight_bounds import tighten
from bo_shaping.space.simplex import from_cube, mean_point, nearest_point, vertices

WHOLE = dict.fromkeys(("shap", "lime", "sparse"), (0.0, 1.0))


def random_bounds(rng, k):
    """Bounds of `k` weights around a point of the simplex, some of them held."""
    cuts = sorted(rng.random() for _ in range(k - 1))
    point = [high - low for low, high in itertools.pairwise([0.0, *cuts, 1.0])]
    bounds = {}
    for i, weight in enumerate(point):
        low, high = max(0.0, weight - rng.choice([0.0, 0.1, 1.0])), min(1.0, weight + rng.choice([0.0, 0.1, 1.0]))
        bounds[f"c{i}"] = (low, high)
    return tighten(bounds)


def is_inside(point, bounds):
    assert sum(point.values()) == pytest.approx(1.0, abs=1e-9)
    return all(low <= point[name] <= high for name, (low, high) in bounds.items())


def test_a_point_of_the_simplex_stays_as_it_is_to_the_last_bit():
    # Thirds cannot sum to 1 exactly: the first job tokens were made from just these digits.
    third = 0.333333333333
    for weights in ({"shap": 0.1, "lime": 0.2, "sparse": 0.7}, dict.fromkeys(WHOLE, third)):
        assert nearest_point(weights, WHOLE) == weights


def test_rounding_errors_are_clipped_and_no_zero_is_negative():
    point = nearest_point({"shap": 0.75, "lime": 0.25 + 2.2e-16, "sparse": -2.2e-16}, WHOLE)
    assert point == {"shap": 0.75, "lime": 0.25, "sparse": 0.0}
    assert str(nearest_point({"shap": -0.0, "lime": -1e-16, "sparse": 1.0}, WHOLE)["shap"]) == "0.0"


def test_points_are_projected_into_the_region_and_then_stay():
    rng = random.Random(0)
    for _ in range(500):
        bounds = random_bounds(rng, rng.randint(2, 7))
        once = nearest_point({name: rng.expovariate(1.0) for name in bounds}, bounds)
        assert is_inside(once, bounds)
        assert nearest_point(once, bounds) == once


def test_held_weights_stay_and_the_others_keep_their_proportions():
    bounds = WHOLE | {"sparse": (0.2, 0.2)}
    assert nearest_point({"shap": 3.0, "lime": 1.0, "sparse": 7.0}, bounds) == {"shap": 0.6, "lime": 0.2, "sparse": 0.2}


def test_outside_the_bounds_the_nearest_point_is_taken():
    bounds = {"a": (0.1, 0.4), "b": (0.0, 0.5), "c": (0.0, 1.0), "d": (0.2, 1.0)}
    rng = random.Random(1)
    for _ in range(20):
        weights = [rng.expovariate(1.0) for _ in bounds]
        target = np.array(weights) / sum(weights)
        # An independent solver of the same problem.
        best = minimize(
            lambda w, target=target: ((w - target) ** 2).sum(),
            x0=[0.2, 0.2, 0.2, 0.4],
            bounds=list(bounds.values()),
            constraints={"type": "eq", "fun": lambda w: w.sum() - 1},
            options={"ftol": 1e-14},
        )
        point = nearest_point(dict(zip(bounds, weights, strict=True)), bounds)
        np.testing.assert_allclose(list(point.values()), best.x, atol=1e-6)


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ({"shap": 0.0, "sparse": -1.0}, "At least one"),
        ({"shap": float("nan"), "sparse": 1.0}, "'shap' must be a finite number"),
        ({"shop": 0.5, "sparse": 0.5}, "'shop', did you mean 'shap'"),
    ],
)
def test_weights_that_mean_nothing_are_refused(weights, message):
    with pytest.raises(ValueError, match=message):
        nearest_point(weights, WHOLE)


def test_bounds_are_tightened_to_what_the_sum_leaves():
    tight = tighten({"a": (0.3, 1.0), "b": (0.0, 0.2), "c": (0.0, 0.1)})
    assert tight == {"a": (0.7, 1.0), "b": (0.0, 0.2), "c": (0.0, 0.1)}
    # The weight of the third is what two held ones leave: it is held too.
    assert tighten({"a": (0.1, 0.1), "b": (0.2, 0.2), "c": (0.0, 1.0)})["c"] == (0.7, 0.7)
    with pytest.raises(ValueError, match=r"smallest weights sum to 1\.1"):
        tighten({"a": (0.6, 1.0), "b": (0.5, 1.0)})
    with pytest.raises(ValueError, match=r"largest weights sum to 0\.9"):
        tighten({"a": (0.0, 0.4), "b": (0.0, 0.5)})


def test_vertices_are_the_corners_or_what_bounds_make_of_them():
    assert vertices(WHOLE) == [dict(zip(WHOLE, row, strict=True)) for row in np.eye(3).tolist()]
    hexagon = vertices(dict.fromkeys(WHOLE, (0.0, 0.6)))
    assert [tuple(point.values()) for point in hexagon] == sorted(itertools.permutations((0.6, 0.4, 0.0)), reverse=True)
    assert vertices({"a": (0.3, 0.3), "b": (0.7, 0.7)}) == [{"a": 0.3, "b": 0.7}]


def test_the_region_is_the_hull_of_its_vertices():
    # The largest value of any linear function over the region is taken at a vertex.
    rng = random.Random(2)
    for _ in range(50):
        bounds = random_bounds(rng, 4)
        slopes = {name: rng.gauss(0, 1) for name in bounds}
        points = vertices(bounds)
        assert all(is_inside(point, bounds) for point in points)
        best = max(sum(slopes[name] * point[name] for name in bounds) for point in points)
        # Greedy filling solves the linear programme exactly.
        filled, rest = {name: low for name, (low, _) in bounds.items()}, 1 - sum(low for low, _ in bounds.values())
        for name in sorted(slopes, key=slopes.get, reverse=True):
            step = min(rest, bounds[name][1] - bounds[name][0])
            filled[name], rest = filled[name] + step, rest - step
        assert best == pytest.approx(sum(slopes[name] * filled[name] for name in bounds), abs=1e-6)


def test_the_mean_of_the_corners_is_the_centre():
    assert mean_point(vertices(WHOLE), WHOLE) == dict.fromkeys(WHOLE, 0.333333333333)


def test_uniform_shares_give_uniform_weights():
    rng = random.Random(3)
    names = ("a", "b", "c", "d")
    bounds = tighten({"a": (0.2, 0.2), **dict.fromkeys(names[1:], (0.0, 1.0))})
    points = [from_cube([rng.random() for _ in range(2)], bounds) for _ in range(4000)]
    free = np.array([[point[name] for name in names[1:]] for point in points]) / 0.8
    # Uniform on a triangle: mean 1/3, variance 1/18, and a correlation of -1/2 between any two weights.
    np.testing.assert_allclose(free.mean(axis=0), 1 / 3, atol=0.02)
    np.testing.assert_allclose(free.var(axis=0), 1 / 18, atol=0.005)
    np.testing.assert_allclose(np.corrcoef(free.T)[np.triu_indices(3, 1)], -0.5, atol=0.05)


def test_shares_reach_every_part_of_a_bounded_region_and_nothing_outside():
    rng = random.Random(4)
    for _ in range(50):
        bounds = random_bounds(rng, 5)
        n = sum(low < high for low, high in bounds.values()) - 1
        points = [from_cube([rng.random() for _ in range(n)], bounds) for _ in range(200)]
        assert all(is_inside(point, bounds) for point in points)
        for corner in (0.0, 1.0):
            assert is_inside(from_cube([corner] * n, bounds), bounds)
    bounds = tighten(dict.fromkeys(("a", "b", "c"), (0.0, 0.5)))
    points = [from_cube([rng.random() for _ in range(2)], bounds) for _ in range(500)]
    for name, (low, high) in bounds.items():
        values = [point[name] for point in points]
        assert min(values) < low + 0.1
        assert max(values) > high - 0.1
        # None had to be pulled back to the boundary.
        assert not {low, high} & set(values)
