from collections import Counter

import numpy as np
import pytest

from bo_shaping.config import SearchSpaceConfig
from bo_shaping.space import lattice
from bo_shaping.space.arms import to_arm

FIVE = ("shap", "lime", "owen", "attention", "sparse")


def space(**settings):
    return SearchSpaceConfig.model_validate(settings)


def test_three_weights_and_one_parameter_are_covered_by_a_full_lattice(monkeypatch):
    monkeypatch.setattr(lattice, "FINEST", 20)
    monkeypatch.setitem(lattice.LEVELS, 1, 9)
    arms = lattice.covering(space())
    assert len(arms) == 231 * 9
    assert {arm["gae_lambda"] for arm in arms} == set(np.linspace(0.5, 1, 9))
    assert to_arm({"shap": 0.0, "leave_one_out": 0.0, "sparse": 1.0}, {"gae_lambda": 1.0}) in arms
    log = space(parameters={"kl_coef": {"bounds": [0.01, 1], "log": True}})
    assert sorted({round(arm["kl_coef"], 6) for arm in lattice.covering(log)})[4] == pytest.approx(0.1)


@pytest.mark.parametrize(
    "settings",
    [
        {"components": FIVE},
        {"components": FIVE, "parameters": {"gae_lambda": {"bounds": [0.5, 1]}, "epochs": {"bounds": [1, 4]}}},
        {"components": (*FIVE, "prefix", "uniform"), "parameters": {}},
        {"fixed": {"leave_one_out": 0.3}, "bounds": {"sparse": [0.2, 0.5]}},
        {"components": ("shap", "sparse"), "fixed": {"shap": 0.4}},
        {
            "parameters": {
                name: {"bounds": bounds}
                for name, bounds in {"gae_lambda": [0.5, 1], "epochs": [1, 4], "kl_coef": [0, 1]}.items()
            }
        },
    ],
)
def test_any_space_is_covered_by_a_few_thousand_arms_within_it(settings):
    config = space(**settings)
    arms = lattice.covering(config)
    assert 5 <= len(arms) <= 4000
    assert lattice.covering(config) == arms
    for name, (low, high) in config.weight_bounds.items():
        weights = np.array([arm[f"w_{name}"] for arm in arms])
        # Every bound is reached: the corners of the region are among the arms.
        assert weights.min() == pytest.approx(low, abs=1e-9)
        assert weights.max() == pytest.approx(high, abs=1e-9)
    np.testing.assert_allclose([sum(v for name, v in arm.items() if name[:2] == "w_") for arm in arms], 1.0)
    for name, parameter in config.parameters.items():
        values = np.array([arm[name] for arm in arms])
        assert parameter.bounds[0] <= values.min() <= values.max() <= parameter.bounds[1]
        assert np.ptp(values) > 0.9 * (parameter.bounds[1] - parameter.bounds[0])
    assert all(isinstance(arm.get("epochs", 1), int) for arm in arms)


def test_points_nearby_are_near_in_the_space_and_reach_its_faces():
    config = space(components=FIVE, bounds={"shap": [0.1, 1.0]})
    arm = to_arm({"shap": 0.5, "lime": 0.48, "owen": 0.02}, {"gae_lambda": 0.9}, config)
    near = lattice.nearby(config, arm, 0.1, 200, np.random.default_rng(0))
    assert len(near) == 200
    assert max(abs(other[name] - arm[name]) for other in near for name in arm) < 0.13
    assert any(other["w_owen"] == 0 for other in near)
    assert any(other["gae_lambda"] == 0.9 and other["w_lime"] != 0.48 for other in near)
    assert min(other["w_shap"] for other in near) >= 0.1


def test_every_value_in_an_order_is_a_level_and_nothing_between():
    units = ["tokens", "words", "spans", "sentences"]
    both = space(parameters={"units": {"values": units}, "gae_lambda": {"bounds": [0.5, 1]}})
    levels = lattice.parameter_levels(both)
    assert sorted({level["gae_lambda"] for level in levels}) == [0.5, 0.625, 0.75, 0.875, 1.0]
    assert [level["units"] for level in levels] == [unit for unit in units for _ in range(5)]
    # Of more than two, random levels have all values about equally often: 27 of 32 Sobol points.
    many = space(parameters={**both.model_dump()["parameters"], "kl_coef": {"bounds": [0, 1]}})
    counted = Counter(level["units"] for level in lattice.parameter_levels(many))
    assert set(counted) == set(units)
    assert max(counted.values()) - min(counted.values()) <= 3
    assert Counter(arm["units"] for arm in lattice.random_arms(both, 256, seed=0)) == dict.fromkeys(units, 64)


def test_neighbours_of_an_arm_have_its_value_or_that_of_another():
    both = space(parameters={"units": {"values": ["tokens", "words", "spans"]}, "gae_lambda": {"bounds": [0.5, 1]}})
    arm = to_arm({"shap": 0.5, "leave_one_out": 0.2, "sparse": 0.3}, {"units": "tokens", "gae_lambda": 0.8})
    near = lattice.nearby(both, arm, 0.03, 200, np.random.default_rng(0))
    assert {other["units"] for other in near} == {"tokens", "words", "spans"}
    assert sum(other["units"] == "tokens" for other in near) > 100
    assert max(abs(other["gae_lambda"] - 0.8) for other in near) <= 0.03 * 0.5 + 1e-12
