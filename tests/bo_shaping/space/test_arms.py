import pytest
from ax.core.parameter import FixedParameter, ParameterType

from bo_shaping.config import SearchSpaceConfig, StudyConfig
from bo_shaping.generation.design import initial_design
from bo_shaping.space.arms import ax_search_space, corner, from_arm, project, to_arm, to_specs

BOUNDED = SearchSpaceConfig(
    components=("shap", "lime", "prefix", "sparse"),
    fixed={"prefix": 0.2},
    bounds={"sparse": (0.1, 0.5)},
    parameters={"epochs": {"bounds": (1, 8), "log": True}, "learning_rate": {"bounds": (1e-5, 1e-3), "log": True}},
)


def test_weights_are_projected_on_the_simplex_or_into_the_space():
    assert project({"shap": 1.0, "lime": 3.0}) == {"shap": 0.25, "lime": 0.75}
    inside = project({"shap": 0.0, "lime": 0.0, "prefix": 0.0, "sparse": 1.0}, BOUNDED)
    assert inside == {"shap": 0.15, "lime": 0.15, "prefix": 0.2, "sparse": 0.5}


def test_an_arm_survives_the_round_trip():
    arm = to_arm({"shap": 0.5, "sparse": 0.5}, {"gae_lambda": 0.9})
    assert arm == {"w_shap": 0.5, "w_sparse": 0.5, "gae_lambda": 0.9}
    assert from_arm(arm) == ({"shap": 0.5, "sparse": 0.5}, {"gae_lambda": 0.9})


def test_counts_are_ints_in_an_arm_and_in_a_spec_and_floats_in_between():
    arm = to_arm({"sparse": 1.0}, {"epochs": 2.9999999, "kl_coef": 3})
    assert (arm["epochs"], type(arm["epochs"])) == (3, int)
    _, parameters = from_arm(arm)
    assert {name: type(value) for name, value in parameters.items()} == {"epochs": float, "kl_coef": float}
    config = StudyConfig(name="a", search_space={"parameters": {"epochs": {"bounds": [1, 8]}}})
    (spec,) = to_specs(config, {"w_shap": 0.0, "w_leave_one_out": 0.0, "w_sparse": 1.0, "epochs": 3.0}, [0])
    assert (spec.ppo.epochs, type(spec.ppo.epochs)) == (3, int)


def test_specs_carry_weights_overrides_and_the_seeds_asked_for():
    config = StudyConfig(name="a", seed=5, ppo={"steps": 7, "gae_lambda": 0.95})
    specs = to_specs(config, {"w_shap": 0.2, "w_leave_one_out": 0.3, "w_sparse": 0.5, "gae_lambda": 0.6}, [5, 7, 6])
    assert [spec.seed for spec in specs] == [5, 7, 6]
    assert {spec.ppo.gae_lambda for spec in specs} == {0.6}
    assert {spec.ppo.steps for spec in specs} == {7}
    assert specs[0].weights == {"shap": 0.2, "leave_one_out": 0.3, "sparse": 0.5}


def test_what_shapes_credit_is_set_in_its_own_section():
    parameters = {"max_units": {"bounds": [4, 24]}, "sharpness": {"bounds": [0.5, 2]}, "kl_coef": {"bounds": [0, 1]}}
    config = StudyConfig(name="a", attribution={"units": "spans"}, search_space={"parameters": parameters})
    arm = to_arm(
        {"shap": 0.2, "leave_one_out": 0.3, "sparse": 0.5}, {"max_units": 9.7, "sharpness": 1.5, "kl_coef": 0.3}
    )
    assert (arm["max_units"], type(arm["max_units"])) == (10, int)
    (spec,) = to_specs(config, arm, [0])
    assert (spec.attribution.max_units, spec.attribution.sharpness, spec.ppo.kl_coef) == (10, 1.5, 0.3)
    assert spec.attribution.units == "spans"
    assert initial_design(config)[0]["max_units"] == 12


def test_what_an_optimiser_moved_past_its_range_is_put_back():
    config = StudyConfig(name="a", search_space={"bounds": {"sparse": [0.0, 0.5]}})
    (spec,) = to_specs(
        config, {"w_shap": 0.2, "w_leave_one_out": 0.2999999, "w_sparse": 0.5000001, "gae_lambda": 0.7}, [0]
    )
    assert spec.weights == pytest.approx({"shap": 0.2, "leave_one_out": 0.3, "sparse": 0.5}, abs=1e-6)
    assert spec.weights["sparse"] == 0.5
    (spec,) = to_specs(
        config, {"w_shap": 0.2, "w_leave_one_out": 0.3, "w_sparse": 0.5, "gae_lambda": 1.0000000002}, [0]
    )
    assert spec.ppo.gae_lambda == 1.0


def test_ax_knows_that_weights_sum_to_one():
    space = ax_search_space(SearchSpaceConfig())
    assert list(space.parameters) == ["w_shap", "w_leave_one_out", "w_sparse", "gae_lambda"]
    assert space.check_membership({"w_shap": 0.2, "w_leave_one_out": 0.3, "w_sparse": 0.5, "gae_lambda": 0.7})
    assert not space.check_membership({"w_shap": 0.2, "w_leave_one_out": 0.3, "w_sparse": 0.4, "gae_lambda": 0.7})
    assert not space.check_membership({"w_shap": 0.2, "w_leave_one_out": 0.3, "w_sparse": 0.5, "gae_lambda": 0.4})


def test_seven_components_are_seven_equal_parameters_of_one_constraint():
    names = ("shap", "lime", "owen", "prefix", "attention", "uniform", "sparse")
    space = ax_search_space(SearchSpaceConfig(components=names, parameters={}))
    (constraint,) = space.parameter_constraints
    assert constraint.constraint_dict == {f"w_{name}": 1.0 for name in names}
    assert {(p.lower, p.upper) for p in space.parameters.values()} == {(0.0, 1.0)}
    assert space.check_membership({f"w_{name}": 1 / 7 for name in names})


def test_ax_holds_what_is_fixed_and_knows_bounds_logs_and_counts():
    space = ax_search_space(BOUNDED)
    assert isinstance(space.parameters["w_prefix"], FixedParameter)
    assert space.parameters["w_prefix"].value == 0.2
    # shap and lime get at most what prefix and the least of sparse leave.
    ranges = {name: (p.lower, p.upper) for name, p in space.tunable_parameters.items()}
    assert ranges == {
        "w_shap": (0.0, 0.7),
        "w_lime": (0.0, 0.7),
        "w_sparse": (0.1, 0.5),
        "epochs": (1, 8),
        "learning_rate": (1e-5, 1e-3),
    }
    assert space.parameters["epochs"].parameter_type == ParameterType.INT
    assert space.parameters["epochs"].log_scale
    arm = {"w_shap": 0.5, "w_lime": 0.1, "w_prefix": 0.2, "w_sparse": 0.2, "epochs": 2, "learning_rate": 1e-4}
    assert space.check_membership(arm)
    assert not space.check_membership(arm | {"w_prefix": 0.3, "w_sparse": 0.1})
    assert not space.check_membership(arm | {"w_shap": 0.6})


def test_with_all_weights_held_ax_searches_the_parameters():
    config = SearchSpaceConfig(components=("shap", "sparse"), fixed={"shap": 0.75})
    space = ax_search_space(config)
    assert list(space.tunable_parameters) == ["gae_lambda"]
    assert space.parameter_constraints == []
    assert space.parameters["w_sparse"].value == 0.25


@pytest.mark.parametrize(
    ("space", "component", "expected"),
    [
        (SearchSpaceConfig(), "sparse", (0, 0, 1)),
        (SearchSpaceConfig(), "shap", (1, 0, 0)),
        (SearchSpaceConfig(bounds={"sparse": (0.0, 0.5)}), "sparse", (0.25, 0.25, 0.5)),
        (SearchSpaceConfig(bounds={"sparse": (0.2, 1.0)}), "leave_one_out", (0, 0.8, 0.2)),
        (SearchSpaceConfig(fixed={"sparse": 0.2}), "sparse", (0.4, 0.4, 0.2)),
    ],
)
def test_the_corner_of_a_component_is_the_centre_of_the_face_where_it_has_most_weight(space, component, expected):
    assert tuple(corner(space, component).values()) == pytest.approx(expected, abs=1e-11)


CHOICES = SearchSpaceConfig(
    components=("shap", "sparse"),
    parameters={
        "units": {"values": ("spans", "tokens", "words")},
        "samples_per_prompt": {"values": (1, 2, 4)},
        "sharpness": {"values": (0.5, 1.0)},
    },
)


def test_values_in_an_order_are_ordered_choices_of_ax():
    parameters = ax_search_space(CHOICES).parameters
    found = {
        name: (parameters[name].values, parameters[name].is_ordered, parameters[name].parameter_type)
        for name in CHOICES.parameters
    }
    assert found == {
        "units": (["spans", "tokens", "words"], True, ParameterType.STRING),
        "samples_per_prompt": ([1, 2, 4], True, ParameterType.INT),
        "sharpness": ([0.5, 1.0], True, ParameterType.FLOAT),
    }


def test_the_axes_of_an_ax_experiment_are_those_of_the_study():
    from bo_shaping.space.encoding import axes_of, encode
    from bo_shaping.surrogate.seed_effects import axes_of_space

    for space in (CHOICES, BOUNDED):
        ours, axs = axes_of(space), axes_of_space(ax_search_space(space))
        config = StudyConfig(name="a", search_space=space)
        arms = initial_design(config)
        assert list(ours) == list(axs)
        assert encode(ours, arms).tolist() == encode(axs, arms).tolist()


def test_words_and_sizes_go_through_an_arm_into_a_spec():
    config = StudyConfig(name="a", search_space=CHOICES)
    arm = to_arm({"shap": 0.5, "sparse": 0.5}, {"units": "words", "samples_per_prompt": 2.0, "sharpness": 0.5})
    assert (arm["units"], arm["samples_per_prompt"], type(arm["samples_per_prompt"])) == ("words", 2, int)
    assert from_arm(arm)[1] == {"units": "words", "samples_per_prompt": 2.0, "sharpness": 0.5}
    (spec,) = to_specs(config, arm, [0])
    assert (spec.attribution.units, spec.ppo.samples_per_prompt, spec.attribution.sharpness) == ("words", 2, 0.5)
