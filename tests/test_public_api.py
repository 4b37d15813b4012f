"""The public names, literally: whoever changes one changes this file, and the changelog."""

import importlib
import inspect

import pytest

import bo_shaping
import inner_loop

NAMES = {
    "bo_shaping": {"Best", "BoShapingError", "Study", "StudyConfig", "Surface", "TrialRecord", "__version__"},
    "bo_shaping.config": {
        "BudgetConfig",
        "DesignConfig",
        "EarlyStoppingConfig",
        "NoiseConfig",
        "ObjectiveConfig",
        "ParameterRange",
        "ParameterValues",
        "RelatedTask",
        "RelatedTrial",
        "SearchSpaceConfig",
        "StudyConfig",
        "WorkersConfig",
    },
    "inner_loop": {
        "ShapingFunction",
        "TrialProgress",
        "TrialResult",
        "TrialSpec",
        "__version__",
        "result_of",
        "run_trial",
    },
    "inner_loop.attribution": {"METHODS", "Credit", "GameAttribution", "attribute_game", "explain", "to_shap"},
    "inner_loop.components": {"COMPONENTS", "SPARSE", "Component", "Spread", "TokenFacts", "load_component"},
    "inner_loop.spec": {
        "COMPONENTS",
        "SPARSE",
        "SUM_ATOL",
        "AttributionConfig",
        "BasePlacement",
        "CurvePoint",
        "EvaluationConfig",
        "ExplainedResponse",
        "ImplicitConfig",
        "JudgeConfig",
        "PPOConfig",
        "PromptCounts",
        "ScoringConfig",
        "StepStats",
        "TaskConfig",
        "TokenModelConfig",
        "TrialProgress",
        "TrialResult",
        "TrialSpec",
        "Unread",
        "check_components",
        "check_mixing_weights",
        "result_of",
    },
}

ERRORS = {
    "bo_shaping.errors": {
        "BoShapingError",
        "ConfigError",
        "ConnectionLostError",
        "DashboardError",
        "ExecutorError",
        "ExperimentFileError",
        "ExplainInputError",
        "FencedError",
        "OutputError",
        "RetryError",
        "StopRequested",
        "StorageError",
        "StudyChangedError",
        "StudyExistsError",
        "StudyLockedError",
        "StudyNotFoundError",
        "TellError",
        "TooFewTrialsError",
        "TooManyFailuresError",
        "TrainingError",
        "TrialNotFoundError",
        "TrialResultError",
    },
    "inner_loop.errors": {
        "AttributionError",
        "ConservationError",
        "DivergedError",
        "EntryPointError",
        "InnerLoopError",
        "MixingWeightsError",
        "RewardModelError",
        "TaskError",
        "UnreachableRewardModelError",
    },
}

STUDY = {
    "launch": ["config", "sources", "maps", "metrics"],
    "from_ax": ["file", "name", "settings", "allow_change"],
    "load": ["name_or_path", "config", "allow_change"],
    "rebuild": ["name_or_path"],
    "run": ["n_trials", "on_change"],
    "ask": [],
    "tell": ["index", "mean", "sem", "kl", "measures"],
    "tell_failed": ["index", "reason"],
    "attach": ["parameters", "mean", "sem", "kl", "measures"],
    "stop": [],
    "retry": ["index"],
    "trial": ["index"],
    "best": [],
    "surface": [],
    "trials": [],
    "results": [],
    "credit_similarity": ["results"],
    "curves": ["results"],
    "shaping_function": [],
}


def parameters(function):
    return [name for name in inspect.signature(function).parameters if name != "self"]


@pytest.mark.parametrize("module", NAMES)
def test_public_names(module):
    found = importlib.import_module(module)
    assert set(found.__all__) == NAMES[module]
    assert len(found.__all__) == len(set(found.__all__))
    for name in found.__all__:
        assert getattr(found, name) is not None
        assert name in dir(found)


@pytest.mark.parametrize("module", ERRORS)
def test_public_errors(module):
    found = importlib.import_module(module)
    own = {name for name, value in vars(found).items() if inspect.isclass(value) and value.__module__ == module}
    assert own == ERRORS[module]


def test_public_methods_of_a_study():
    public = {name for name, value in vars(bo_shaping.Study).items() if not name.startswith("_")}
    assert public == {*STUDY, "name", "path", "config", "folder", "ax_client"}
    for name, expected in STUDY.items():
        assert parameters(getattr(bo_shaping.Study, name)) == expected, name


def test_public_functions():
    from inner_loop.attribution import attribute_game, explain

    assert parameters(inner_loop.run_trial) == ["spec", "reward_model", "folder", "checkpoint_every", "save_policy"]
    assert parameters(inner_loop.ShapingFunction.__call__)[:3] == ["prompts", "responses", "scores"]
    assert parameters(explain)[:3] == ["reward_model", "prompts", "responses"]
    assert parameters(attribute_game)[:2] == ["value_fn", "n_units"]


def test_the_version_is_that_of_the_installed_package():
    assert bo_shaping.__version__ == inner_loop.__version__ == importlib.metadata.version("bo-shaping")
