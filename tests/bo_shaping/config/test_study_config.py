from pathlib import Path

import pytest
from pydantic import ValidationError

from bo_shaping.config import ParameterRange, StudyConfig, WorkersConfig
from bo_shaping.config.limits import Constraint, parse_constraint
from bo_shaping.config.tunable import NOT_TUNABLE, OF_ATTRIBUTION, ONLY_VALUES, TUNABLE, is_integer
from bo_shaping.errors import ConfigError
from bo_shaping.executors.heartbeat import BEAT_SECONDS
from bo_shaping.space.arms import to_specs
from inner_loop.spec import PPOConfig


def write(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "my-study.yaml"
    path.write_text(text)
    return path


def test_an_empty_file_is_the_default_study_named_after_the_file(tmp_path):
    config = StudyConfig.from_yaml(write(tmp_path, ""))
    assert config == StudyConfig(name="my-study")
    assert config.search_space.parameters["gae_lambda"].bounds == (0.5, 1.0)
    assert config.objective.max_kl == 8.0
    assert (config.budget.trials, config.budget.parallel) == (14, 2)


def test_resolved_yaml_reads_back_as_the_same_config(tmp_path):
    config = StudyConfig(name="a", ppo={"learning_rate": 1e-5}, objective={"max_kl": None})
    assert StudyConfig.from_yaml(write(tmp_path, config.to_yaml())) == config


def test_overrides_are_yaml_and_reach_nested_and_missing_sections(tmp_path):
    path = write(tmp_path, "ppo: {steps: 7}\n")
    overrides = [
        "ppo.steps=3",
        "ppo.learning_rate=1e-4",
        "objective.max_kl=null",
        "search_space.components=[lime, sparse]",
    ]
    config = StudyConfig.from_yaml(path, overrides)
    assert (config.ppo.steps, config.ppo.learning_rate, config.objective.max_kl) == (3, 1e-4, None)
    assert config.search_space.components == ("lime", "sparse")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("pppo: {}", r"my-study\.yaml: unknown key 'pppo', did you mean 'ppo'\?"),
        ("ppo: {stepz: 3}", r"ppo: unknown key 'stepz', did you mean 'steps'\?"),
        ("search_space: {components: [shap, limes, sparse]}", r"unknown component 'limes', did you mean 'lime'\?"),
        ("search_space: {components: [shap, lime]}", "with 'sparse' among them"),
        ("search_space: {components: [sparse]}", "at least two"),
        ("search_space: {components: [sparse, sparse]}", "at least two different"),
        (
            "search_space: {parameters: {lambda: {bounds: [0, 1]}}}",
            r"unknown key 'lambda', did you mean 'gae_lambda'\?",
        ),
        ("search_space: {parameters: {gae_lambda: {bounds: [0.5, 1.5]}}}", "gae_lambda: must be at most 1, got 1.5"),
        ("search_space: {parameters: {kl_coef: {bounds: [0.1, 0.1]}}}", "must be increasing"),
        ("search_space: {parameters: {kl_coef: {bounds: [0, 1], log: true}}}", "needs positive bounds"),
        ("evaluation: {split: heldout}", "must be 'validation'"),
        ("name: ../evil", "name: "),
        ("inner_loop: os.system", "inner_loop: "),
        ("budget: {trials: 0}", "budget.trials: "),
        ("budget: {confirm: 2}", r"unknown key 'confirm'"),
        ("budget: {replicate_last: 2.5}", "a whole number of trials, or a share below 1, got 2.5"),
        ("budget: {trials: 4, replicate_last: 5}", "must not be above trials, got 5 and 4"),
        ("budget: {max_failures: 2}", r"budget\.max_failures: must be at most 1, got 2"),
        ("objective: median", r"objective\.measure: .*'final', 'auc' or 'held'"),
        ("- 1", "must hold keys and values"),
        ("a: [", "not valid YAML"),
        ("name: 2024-13-45", "not valid YAML"),
    ],
)
def test_bad_config_is_one_sentence_that_names_the_problem(tmp_path, text, message):
    with pytest.raises(ConfigError, match=message) as caught:
        StudyConfig.from_yaml(write(tmp_path, text))
    assert "\n" not in str(caught.value)
    assert "my-study.yaml" in str(caught.value)


def test_yaml_that_builds_objects_is_refused(tmp_path):
    with pytest.raises(ConfigError, match="not valid YAML"):
        StudyConfig.from_yaml(write(tmp_path, "name: !!python/object/apply:os.getcwd []"))


def test_missing_file_and_broken_override_are_named(tmp_path):
    with pytest.raises(ConfigError, match=r"no config file .*none\.yaml"):
        StudyConfig.from_yaml(tmp_path / "none.yaml")
    for override in ("ppo.steps", "=3", "a..b=1"):
        with pytest.raises(ConfigError, match=r"looks like ppo\.steps=3"):
            StudyConfig.from_yaml(write(tmp_path, ""), [override])
    with pytest.raises(ConfigError, match="goes through 'seed'"):
        StudyConfig.from_yaml(write(tmp_path, "seed: 1"), ["seed.x=1"])


ALL = "shap, lime, owen, prefix, attention, uniform, sparse"


@pytest.mark.parametrize(
    ("space", "message"),
    [
        (
            "fixed: {limes: 0.1}",
            r"fixed: unknown component 'limes', did you mean 'lime'\? components: shap, lime, sparse",
        ),
        ("bounds: {limes: [0, 0.1]}", r"bounds: unknown component 'limes', did you mean 'lime'"),
        ("fixed: {lime: 0.1}, bounds: {lime: [0, 0.5]}", "'lime' is fixed, so it cannot have bounds"),
        ("fixed: {lime: 1.5}", r"fixed\.lime must be between 0 and 1, got 1\.5"),
        ("fixed: {lime: 0.5, shap: 0.6}", r"fixed weights sum to 1\.1"),
        ("bounds: {lime: [0.5, 0.5]}", r"bounds\.lime must be increasing"),
        ("bounds: {lime: [-0.1, 0.5]}", "within 0 and 1"),
        ("bounds: {lime: [0.6, 1], shap: [0.6, 1]}", r"smallest weights sum to 1\.2"),
        ("bounds: {lime: [0, 0.2], shap: [0, 0.2], sparse: [0, 0.2]}", r"largest weights sum to 0\.6"),
        ("fixed: {lime: 0.2, shap: 0.2}, parameters: {}", "nothing is left to search"),
        ("fixed: {lime: 0.5}, bounds: {shap: [0.5, 1]}, parameters: {}", "nothing is left to search"),
        ("parameters: {steps: {bounds: [5, 50]}}", "steps cannot be searched: it changes what a trial costs"),
        (
            "parameters: {minibatch_size: {bounds: [8, 32]}}",
            "minibatch_size cannot be searched over a range: it must divide",
        ),
        ("parameters: {temperature: {bounds: [0.5, 1]}}", "temperature cannot be searched: .*what is measured"),
        ("parameters: {precision: {bounds: [0, 1]}}", "unknown key 'precision'"),
        ("parameters: {epochs: {bounds: [1, 2.5]}}", "epochs: 2.5 is not a whole number"),
        ("parameters: {epochs: {bounds: [0, 4]}}", "epochs: must be above 0, got 0"),
        (
            "parameters: {missing_eos_penalty: {bounds: [0, 4]}}",
            "would change nothing: it needs ppo.missing_eos: penalty",
        ),
    ],
)
def test_search_spaces_that_cannot_be_searched_are_refused(tmp_path, space, message):
    with pytest.raises(ConfigError, match=message):
        StudyConfig.from_yaml(write(tmp_path, f"search_space: {{components: papers, {space}}}"))


def test_weight_bounds_say_what_each_component_can_have():
    space = StudyConfig(
        name="a", search_space={"fixed": {"shap": 0.3}, "bounds": {"lime": [0.1, 0.4]}, "components": "papers"}
    ).search_space
    assert space.weight_bounds == {"shap": (0.3, 0.3), "lime": (0.1, 0.4), "sparse": (0.3, 0.6)}
    assert space.free_components == ["lime", "sparse"]
    assert StudyConfig(
        name="a", search_space={"components": ALL.split(", ")}
    ).search_space.weight_bounds == dict.fromkeys(ALL.split(", "), (0.0, 1.0))


def test_every_number_of_ppo_is_searchable_or_says_why_not():
    numbers = {name for name, value in PPOConfig().model_dump().items() if type(value) in (int, float)}
    off_by_default = {"adaptive_kl", "target_kl", "top_k", "stop_at_kl", "trainable_layers"}
    off_by_default |= {"critic_lambda"}
    words = {name for name, kind in TUNABLE.items() if kind is str}
    assert {*TUNABLE, *NOT_TUNABLE} - words == (numbers | off_by_default | {*OF_ATTRIBUTION}) - {"units"}
    assert words == {"units", "reward_scale", "kl_estimator", "missing_eos"}
    sizes = {"samples_per_prompt", "minibatch_size", "accumulate"}
    assert words | sizes == {*ONLY_VALUES}
    assert {name for name in TUNABLE if is_integer(name)} == {"epochs", "adaptive_kl_horizon", "max_units"} | sizes


def test_a_box_in_which_some_arm_would_be_refused_is_refused():
    parameters = {"adaptive_kl": {"bounds": [1, 8]}, "kl_coef": {"bounds": [0, 0.5]}}
    with pytest.raises(ValueError, match="allow adaptive_kl 1, kl_coef 0: adaptive_kl multiplies kl_coef"):
        StudyConfig(name="a", search_space={"parameters": parameters})
    parameters["kl_coef"]["bounds"] = [0.01, 0.5]
    StudyConfig(name="a", search_space={"parameters": parameters})


def test_auc_is_short_for_the_measure(tmp_path):
    config = StudyConfig.from_yaml(write(tmp_path, "objective: auc"))
    assert config.objective == StudyConfig(name="a", objective={"measure": "auc"}).objective
    assert StudyConfig.from_yaml(write(tmp_path, ""), ["objective=auc"]).objective.measure == "auc"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("length >= 0.9 * baseline", Constraint("length", ">=", 0.9, relative=True)),
        ("entropy>=1.5", Constraint("entropy", ">=", 1.5, relative=False)),
        (" kl_k3 <= 2e1 ", Constraint("kl_k3", "<=", 20.0, relative=False)),
        ("distinct_1 >= .5*baseline", Constraint("distinct_1", ">=", 0.5, relative=True)),
    ],
)
def test_constraints_are_read_and_written(text, expected):
    objective = StudyConfig(name="a", objective={"max_kl": None, "constraints": [text]}).objective
    assert objective.limits == [expected]
    assert parse_constraint(str(expected)) == expected


def test_the_kl_budget_and_a_constraint_on_kl_are_one_limit(tmp_path):
    def limits(**objective):
        config = StudyConfig(name="a", objective={"measure": "final"} | objective)
        assert StudyConfig.from_yaml(write(tmp_path, config.to_yaml())) == config
        return config.objective.max_kl, [str(limit) for limit in config.objective.limits]

    assert limits() == (8.0, ["kl <= 8.0"])
    assert limits(constraints=["entropy >= 1", "kl <= 4"]) == (4.0, ["kl <= 4.0", "entropy >= 1.0"])
    assert limits(constraints=["kl <= 2 * baseline"]) == (None, ["kl <= 2.0 * baseline"])
    assert limits(constraints=["kl >= 1"]) == (8.0, ["kl <= 8.0", "kl >= 1.0"])
    with pytest.raises(ValueError, match=r"kl has two limits of one kind, keep one of them: kl <= 8\.0 and kl <= 4\.0"):
        limits(max_kl=8, constraints=["kl <= 4"])


@pytest.mark.parametrize(
    ("constraints", "message"),
    [
        (["lenght >= 3"], r"objective: the constraint 'lenght >= 3' is about an unknown metric, did you mean 'length'"),
        (["reward >= 3"], "which is what the study maximises"),
        (["length > 3"], "a constraint looks like 'entropy >= 1.5'"),
        (["length >= baseline"], "a constraint looks like"),
        (["length >= 1e999"], "a finite number"),
        (["length >= -1 * baseline"], "a positive multiple of the baseline"),
        (["length >= 3", "length >= 4"], "length has two limits of one kind"),
        (["kl <= 3", "kl <= 2 * baseline"], "kl has two limits"),
        (["kl <= 0"], r"objective\.max_kl: must be above 0, got 0"),
        ([3], "objective.constraints, entry 1: 3 is not a text"),
    ],
)
def test_constraints_that_mean_nothing_are_refused(tmp_path, constraints, message):
    with pytest.raises(ConfigError, match=message):
        StudyConfig.from_yaml(write(tmp_path, ""), [f"objective.constraints={constraints}"])


@pytest.mark.parametrize(
    ("objective", "measure"),
    [
        ({}, "held"),
        ({"constraints": ["kl <= 4", "length >= 3"]}, "held"),
        ({"max_kl": None}, "final"),
        ({"constraints": ["kl <= 2 * baseline"]}, "final"),
        ({"pareto": True}, "final"),
        ({"pareto": True, "measure": "auc"}, "auc"),
    ],
)
def test_the_budget_is_held_where_there_is_one_to_hold(objective, measure):
    assert StudyConfig(name="a", objective=objective).objective.measure == measure


def test_an_inner_loop_of_ones_own_is_judged_by_its_end_unless_told_otherwise():
    own = {"name": "a", "inner_loop": "json:loads"}
    assert StudyConfig.model_validate(own).objective.measure == "final"
    assert StudyConfig.model_validate(own | {"objective": {"max_kl": 4}}).objective.measure == "final"
    assert StudyConfig.model_validate(own | {"objective": "held"}).objective.measure == "held"
    assert StudyConfig.model_validate(own | {"objective": {"measure": "auc"}}).objective.measure == "auc"


def test_components_may_be_the_papers_or_a_list(tmp_path):
    papers = StudyConfig.from_yaml(write(tmp_path, ""), ["search_space.components=papers"])
    assert papers.search_space.components == ("shap", "lime", "sparse")
    assert StudyConfig(name="a").search_space.components == ("shap", "leave_one_out", "sparse")
    with pytest.raises(ConfigError, match="components: 'paper' is neither a list such as"):
        StudyConfig.from_yaml(write(tmp_path, ""), ["search_space.components=paper"])


def test_shares_of_a_range_and_back():
    for bounds, middle, log in (((4.0, 16.0), 8.0, True), ((4.0, 16.0), 10.0, False)):
        parameter = ParameterRange(bounds=bounds, log=log)
        assert [parameter.at(share) for share in (0.0, 0.5, 1.0)] == pytest.approx([4.0, middle, 16.0])
        assert [parameter.share_of(value) for value in (4.0, middle, 16.0)] == pytest.approx([0.0, 0.5, 1.0])


def test_a_budget_that_is_held_limits_nothing_and_stops_the_trainings(tmp_path):
    held, final = (
        StudyConfig.from_yaml(write(tmp_path, ""), [f"objective.measure={measure}", "objective.max_kl=6"])
        for measure in ("held", "final")
    )
    assert (held.objective.limits, [str(limit) for limit in final.objective.limits]) == ([], ["kl <= 6.0"])
    arm = {"w_shap": 0.5, "w_leave_one_out": 0.0, "w_sparse": 0.5, "gae_lambda": 0.8}
    assert [to_specs(config, arm, [0])[0].ppo.stop_at_kl for config in (held, final)] == [6.0, None]
    sooner = held.model_copy(update={"ppo": held.ppo.model_copy(update={"stop_at_kl": 2.0})})
    assert to_specs(sooner, arm, [0])[0].ppo.stop_at_kl == 2.0
    assert "held from KL 6 on" in held.objective.reward_in_words


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (["early_stopping={}", "ppo.steps=5"], "could never end a trial: .*ppo.steps 5.*min_step 5"),
        (["early_stopping={}", "evaluation.every=20"], "could never end a trial: .*evaluation.every 20"),
        (["early_stopping.min_step=16"], "could never end a trial: .*ppo.steps 20, evaluation.every 5.*min_step 16"),
        (["early_stopping.patience=10"], r"patience looks back 10 steps, so .*min_step must be at least that, got 5"),
        (["early_stopping={}", "executor=inline"], "early_stopping does nothing with executor: inline; .*process, ray"),
        (["early_stopping.min_curves=14"], r"min_curves must be below budget\.trials, got 14 and 14"),
        (["objective.pareto=true", "design.acquisition=kg"], "kg knows one objective"),
        (["objective.pareto=true", "objective.measure=held"], "objective.measure: held fixes; use final or auc"),
        (["objective.pareto=true", "budget.stop_when_regret_below=0.1"], "stop_when_regret_below"),
        (["workers.gpus_per_trial=1", "executor=inline"], "does nothing with executor: inline; .*process, ray, slurm"),
        (["workers.address=auto"], "workers.address does nothing with executor: process; it works with ray"),
        (["workers.options.slurm_partition=gpu", "executor=ray"], "workers.options does nothing with executor: ray"),
        (["budget.trial_seconds=60", "executor=inline"], "trial_seconds does nothing with executor: inline"),
        (
            ["search_space.parameters={max_units: {bounds: [4, 24]}}", "attribution.units=tokens"],
            "max_units would change nothing: it needs attribution.units: spans",
        ),
        (
            [
                "search_space.parameters={critic_lambda: {bounds: [0.5, 1]}}",
                "ppo={algorithm: rloo, samples_per_prompt: 2}",
            ],
            "critic_lambda would change nothing: it needs ppo.algorithm: ppo",
        ),
        (
            ["search_space.components=[implicit, sparse]"],
            "'implicit' asks a model of its own: set attribution.implicit",
        ),
        (["search_space.components=[token_model, sparse]"], "set attribution.token_model: {model: FOLDER}"),
        (
            ["search_space.components=[gradient, sparse]", "task.reward_model=rewards:score"],
            "reads the reward model's embeddings, which a function such as rewards:score has not",
        ),
        (
            ["search_space.components=[attention, sparse]", "task.reward_model=rewards:score"],
            "reads the reward model's attention weights",
        ),
    ],
)
def test_settings_that_contradict_each_other_are_refused(tmp_path, settings, message):
    with pytest.raises(ConfigError, match=message):
        StudyConfig.from_yaml(write(tmp_path, ""), settings)


def test_the_last_trials_are_a_share_or_a_number():
    def n(**budget):
        return StudyConfig(name="a", budget=budget).budget.n_replicate_last

    assert (n(), n(trials=1), n(trials=40), n(trials=20, replicate_last=0.25), n(replicate_last=3)) == (2, 0, 6, 5, 3)
    assert n(replicate_last=0) == 0


@pytest.mark.parametrize(
    "path", sorted((Path(__file__).parents[3] / "experiments").glob("*.yaml")), ids=lambda p: p.name
)
def test_the_studies_that_ship_load(path):
    config = StudyConfig.from_yaml(path)
    assert config.name == path.stem


def test_the_example_of_all_options_has_them():
    config = StudyConfig.from_yaml(Path(__file__).parents[3] / "experiments" / "many_components.yaml")
    space = config.search_space
    assert len(space.components) == len(space.free_components) == 5
    assert sum(parameter.log for parameter in space.parameters.values()) == 1
    assert space.bounds
    assert config.early_stopping is not None
    assert len(config.objective.limits) > 1


def test_yaml_that_is_nested_too_deeply_is_refused_in_one_sentence(tmp_path):
    deep = "[" * 5000
    with pytest.raises(ConfigError, match="is not valid YAML"):
        StudyConfig.from_yaml(write(tmp_path, f"name: {deep}"))
    with pytest.raises(ConfigError, match="is not valid YAML"):
        StudyConfig.from_yaml(write(tmp_path, ""), [f"seed={deep}"])


def test_a_worker_may_miss_two_heartbeats():
    assert WorkersConfig(stale_after=3 * BEAT_SECONDS).stale_after == 6.0
    with pytest.raises(ValidationError, match="stale_after"):
        WorkersConfig(stale_after=2.9 * BEAT_SECONDS)
