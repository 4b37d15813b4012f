import pytest

from bo_shaping.config import StudyConfig
from bo_shaping.design import initial_design, random_arm


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
    design = initial_design(StudyConfig(name="a", search_space={"parameters": {}}))
    assert [weights(arm)[2] for arm in design] == [1, 0, 0, round(1 / 3, 6)]


def test_usual_parameters_are_clipped_to_their_bounds_and_log_ranges_have_geometric_middles():
    space = {"parameters": {"kl_coef": {"bounds": [0.1, 0.4], "log": True}}}
    design = initial_design(StudyConfig(name="a", search_space=space))
    assert design[0]["kl_coef"] == 0.1
    assert design[-1]["kl_coef"] == pytest.approx(0.2)


def test_random_arms_are_reproducible_and_on_the_simplex():
    config = StudyConfig(name="a", search_space={"parameters": {"kl_coef": {"bounds": [0.01, 1.0], "log": True}}})
    arms = [random_arm(config, index) for index in range(200)]
    assert arms[7] == random_arm(config, 7)
    assert arms[7] != random_arm(config.model_copy(update={"seed": 1}), 7)
    assert all(sum(weights(arm)) == pytest.approx(1, abs=1e-5) for arm in arms)
    # Log-uniform on [0.01, 1]: half of them below 0.1.
    assert sum(arm["kl_coef"] < 0.1 for arm in arms) == pytest.approx(100, abs=25)
