import random

import pytest

from bo_shaping.config import SearchSpaceConfig, StudyConfig
from bo_shaping.search_space import ax_search_space, from_arm, project, to_arm, to_specs


def test_project_clips_rounding_errors_and_renormalises():
    weights = project({"shap": 0.75, "lime": 0.25 + 2.2e-16, "sparse": -2.2e-16})
    assert weights == {"shap": 0.75, "lime": 0.25, "sparse": 0.0}
    assert project({"a": 1.0, "b": 3.0}) == {"a": 0.25, "b": 0.75}


def test_projecting_again_moves_nothing():
    rng = random.Random(0)
    for _ in range(500):
        once = project({name: rng.expovariate(1.0) for name in ("shap", "lime", "sparse")})
        assert project(once) == once
        assert sum(once.values()) == pytest.approx(1.0, abs=1e-11)


def test_project_refuses_weights_that_are_all_zero():
    with pytest.raises(ValueError, match="At least one"):
        project({"shap": 0.0, "sparse": -1.0})


def test_an_arm_survives_the_round_trip():
    arm = to_arm({"shap": 0.5, "sparse": 0.5}, {"gae_lambda": 0.9})
    assert arm == {"w_shap": 0.5, "w_sparse": 0.5, "gae_lambda": 0.9}
    assert from_arm(arm) == ({"shap": 0.5, "sparse": 0.5}, {"gae_lambda": 0.9})


def test_specs_carry_weights_overrides_and_the_seeds_asked_for():
    config = StudyConfig(name="a", seed=5, ppo={"steps": 7, "gae_lambda": 0.95})
    specs = to_specs(config, {"w_shap": 0.2, "w_lime": 0.3, "w_sparse": 0.5, "gae_lambda": 0.6}, [5, 7, 6])
    assert [spec.seed for spec in specs] == [5, 7, 6]
    assert {spec.ppo.gae_lambda for spec in specs} == {0.6}
    assert {spec.ppo.steps for spec in specs} == {7}
    assert specs[0].weights == {"shap": 0.2, "lime": 0.3, "sparse": 0.5}


def test_ax_knows_that_weights_sum_to_one():
    space = ax_search_space(SearchSpaceConfig())
    assert list(space.parameters) == ["w_shap", "w_lime", "w_sparse", "gae_lambda"]
    assert space.check_membership({"w_shap": 0.2, "w_lime": 0.3, "w_sparse": 0.5, "gae_lambda": 0.7})
    assert not space.check_membership({"w_shap": 0.2, "w_lime": 0.3, "w_sparse": 0.4, "gae_lambda": 0.7})
    assert not space.check_membership({"w_shap": 0.2, "w_lime": 0.3, "w_sparse": 0.5, "gae_lambda": 0.4})
