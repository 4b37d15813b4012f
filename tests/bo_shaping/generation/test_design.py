import numpy as np
import pytest

from bo_shaping.config import StudyConfig
from bo_shaping.generation.design import initial_design, random_arm
from bo_shaping.space.arms import ax_search_space

ALL = ["shap", "lime", "owen", "prefix", "attention", "uniform", "sparse"]

SPACES = {
    "default": {},
    "two components": {"components": ["shap", "sparse"], "parameters": {}},
    "five components": {"components": ALL[2:], "parameters": {"epochs": {"bounds": [1, 8], "log": True}}},
    "held": {"fixed": {"sparse": 0.2}},
    "all held": {"fixed": {"sparse": 0.2, "shap": 0.5}},
    "bounded": {"components": ALL, "bounds": {name: [0.0, 0.3] for name in ALL}},
    "both": {"components": ALL, "bounds": {"sparse": [0.1, 0.4], "lime": [0.0, 0.2]}, "fixed": {"owen": 1 / 3}},
}


def make(trials=14, interior=None, seed=0, **space):
    design = {"interior": interior}
    return StudyConfig(name="a", seed=seed, search_space=space, budget={"trials": trials}, design=design)


def weights(arm):
    return tuple(round(value, 6) for name, value in arm.items() if name.startswith("w_"))


def test_the_design_holds_the_corners_the_centre_and_a_second_look_at_lambda():
    design = initial_design(StudyConfig(name="a"))
    third = round(1 / 3, 6)
    assert [(*weights(arm), arm["gae_lambda"]) for arm in design] == [
        (0, 0, 1, 0.95),
        (1, 0, 0, 0.95),
        (0, 1, 0, 0.95),
        (third, third, third, 0.95),
        (0, 0, 1, 1.0),
        (third, third, third, 0.75),
    ]


def test_without_parameters_the_design_has_no_repeated_arms():
    design = initial_design(make(parameters={}))
    assert [weights(arm)[2] for arm in design] == [1, 0, 0, round(1 / 3, 6)]


def test_usual_parameters_are_clipped_to_their_bounds_and_log_ranges_have_geometric_middles():
    design = initial_design(make(parameters={"kl_coef": {"bounds": [0.1, 0.4], "log": True}}))
    assert design[0]["kl_coef"] == 0.1
    assert design[-1]["kl_coef"] == pytest.approx(0.2)


def test_counts_are_whole_and_what_is_off_by_default_starts_in_the_middle():
    parameters = {"epochs": {"bounds": [1, 8], "log": True}, "target_kl": {"bounds": [0.01, 1.0], "log": True}}
    design = initial_design(make(parameters=parameters))
    # The geometric middle of 1 and 8 is 2.8; ppo.epochs is 4; ppo.target_kl is None.
    assert [arm["epochs"] for arm in design[:6]] == [4, 4, 4, 4, 3, 3]
    assert {type(arm["epochs"]) for arm in design} == {int}
    assert all(arm["target_kl"] == pytest.approx(0.1) for arm in design[:6])


@pytest.mark.parametrize("space", SPACES.values(), ids=SPACES)
@pytest.mark.parametrize("interior", [None, 9])
def test_all_arms_are_in_the_search_space_and_none_comes_twice(space, interior):
    config = make(trials=60, interior=interior, **space)
    ax_space = ax_search_space(config.search_space)
    design = initial_design(config)
    randoms = [random_arm(config, index) for index in range(50)]
    for arm in (*design, *randoms):
        assert list(arm) == list(ax_space.parameters)
        assert ax_space.check_membership(arm)
        for name, (low, high) in config.search_space.weight_bounds.items():
            assert low <= arm[f"w_{name}"] <= high
        assert sum(arm[f"w_{name}"] for name in config.search_space.components) == pytest.approx(1.0, abs=1e-9)
    assert all(design.count(arm) == 1 for arm in design)


def test_the_first_arm_has_the_most_sparse_weight_that_is_allowed():
    for space, sparse in (({}, 1.0), (SPACES["bounded"], 0.3), (SPACES["held"], 0.2)):
        design = initial_design(make(**space))
        assert design[0]["w_sparse"] == sparse == max(arm["w_sparse"] for arm in design)


def test_bounds_that_cut_corners_leave_the_other_extreme_points_in_the_design():
    design = initial_design(make(trials=40, bounds={"shap": [0.0, 0.5]}, parameters={}))
    assert [weights(arm) for arm in design] == [
        (0, 0, 1),
        (0.5, 0.25, 0.25),
        (0, 1, 0),
        (0.25, 0.375, 0.375),
        (0.5, 0.5, 0),
        (0.5, 0, 0.5),
    ]


def test_more_dimensions_get_as_many_arms_inside():
    # Five components and a parameter are five dimensions: two more than three.
    design = initial_design(make(trials=60, components=ALL[2:]))
    inside = [weights(arm) for arm in design if 0 < min(weights(arm)) < max(weights(arm)) - 1e-3]
    assert (len(design), len(inside)) == (10, 2)
    # Within three quarters of the way to the boundary.
    assert all(min(point) >= 0.2 / 4 - 1e-6 for point in inside)


BOX = {
    "max_units": {"bounds": [4, 24], "log": True},
    "gae_lambda": {"bounds": [0.4, 1.0]},
    "learning_rate": {"bounds": [2e-4, 2e-3], "log": True},
}


def test_with_many_parameters_corners_show_what_these_do_too():
    config = make(trials=60, components=["shap", "owen", "uniform", "sparse"], parameters=BOX)
    design = initial_design(config)
    # Sparse as it usually is, the other corners, the centre, sparse with a long horizon; no corner comes twice.
    corners = [(0, 0, 0, 1), (1, 0, 0, 0), (0, 1, 0, 0), (0, 0, 1, 0)]
    assert [weights(arm) for arm in design] == [*corners, (0.25,) * 4, (0, 0, 0, 1)]
    assert (design[0]["gae_lambda"], design[-1]["gae_lambda"]) == (0.95, 1.0)
    for name in BOX:
        shown = {arm[name] for arm in design[1:4]}
        assert len(shown) == 3
        assert design[0][name] not in shown
        # In the middle half of the range one, and on either side of it.
        shares = sorted(config.search_space.parameters[name].share_of(value) for value in shown)
        assert shares[0] < 0.5 < shares[-1]
    assert design[4]["learning_rate"] == pytest.approx((2e-4 * 2e-3) ** 0.5)


def test_with_many_parameters_there_are_as_many_arms_as_dimensions():
    space = BOX | {"kl_coef": {"bounds": [0.05, 0.4]}, "sharpness": {"bounds": [0.5, 2.0]}}
    design = initial_design(make(trials=60, components=["shap", "sparse"], parameters=space))
    inside = [arm for arm in design if 0.05 < arm["w_shap"] < 0.95 and arm["w_shap"] != 0.5]
    assert (len(design), len(inside)) == (6, 2)


def test_arms_inside_keep_their_distance():
    def smallest_distance(design):
        """Of the arms after the first six, to any other."""
        points = np.array([[*weights(arm), (arm["gae_lambda"] - 0.5) / 0.5] for arm in design])
        return min(np.linalg.norm(b - a) for i, a in enumerate(points) for b in points[max(i + 1, 6) :])

    config = make(interior=10)
    design = initial_design(config)
    assert len(design) == 16
    randoms = [random_arm(config, index) for index in range(10)]
    assert smallest_distance(design) > 0.2 > smallest_distance([*design[:6], *randoms])
    assert design == initial_design(config)
    assert design[6:] != initial_design(make(interior=10, seed=1))[6:]
    assert design[:6] == initial_design(StudyConfig(name="a"))


def test_a_design_takes_at_most_half_of_the_budget_and_is_cut_from_its_end():
    whole = initial_design(make(trials=60, components=ALL))
    assert len(whole) == 7 + 1 + 2 + 4
    for trials in (14, 16, 20, 24):
        assert initial_design(make(trials=trials, components=ALL)) == whole[: trials // 2]
    # Seven trials: the corners are the last to go, and three components have their six arms at any budget.
    assert initial_design(make(trials=7, components=ALL)) == whole[:6]
    assert len(initial_design(make(trials=4))) == 6
    # Who names a number of arms inside gets them.
    asked = initial_design(make(trials=14, components=ALL, interior=3))
    assert len(asked) == 7 + 3


def test_random_arms_are_reproducible_and_on_the_simplex():
    config = make(parameters={"kl_coef": {"bounds": [0.01, 1.0], "log": True}})
    arms = [random_arm(config, index) for index in range(200)]
    assert arms[7] == random_arm(config, 7)
    assert arms[7] != random_arm(config.model_copy(update={"seed": 1}), 7)
    assert all(sum(weights(arm)) == pytest.approx(1, abs=1e-5) for arm in arms)
    # Log-uniform on [0.01, 1]: half of them below 0.1.
    assert sum(arm["kl_coef"] < 0.1 for arm in arms) == pytest.approx(100, abs=25)
    assert np.mean([arm["w_shap"] for arm in arms]) == pytest.approx(1 / 3, abs=0.05)
