"""Settings of a study that contradict each other, or that would do nothing: refused with the way out.

Each check takes the sections that no section can check by itself, and raises `ValueError` naming both settings.
"""

import itertools

from pydantic import ValidationError

from bo_shaping.config.search_space_config import SearchSpaceConfig
from bo_shaping.config.sections import (
    BudgetConfig,
    DesignConfig,
    EarlyStoppingConfig,
    ObjectiveConfig,
    WorkersConfig,
)
from bo_shaping.config.tunable import with_parameters
from bo_shaping.text.wording import describe_value
from inner_loop.io.schema import describe_validation_error
from inner_loop.spec import AttributionConfig, EvaluationConfig, PPOConfig, TaskConfig
from inner_loop.spec.task_config import is_function


def check_components(search_space: SearchSpaceConfig, attribution: AttributionConfig, task: TaskConfig) -> None:
    """Every component has the models that it asks."""
    for name, is_named, example in (
        ("implicit", attribution.implicit, "{model: FOLDER, reference: FOLDER}"),
        ("token_model", attribution.token_model, "{model: FOLDER}"),
    ):
        if name in search_space.components and is_named is None:
            raise ValueError(f"the component {name!r} asks a model of its own: set attribution.{name}: {example}")
    for name, reason in (("attention", "attention weights"), ("gradient", "embeddings")):
        if name in search_space.components and is_function(task.reward_model):
            raise ValueError(
                f"the component {name!r} reads the reward model's {reason}, which a function such as "
                f"{task.reward_model} has not; leave it out, or give a transformers classifier"
            )


def check_parameters(search_space: SearchSpaceConfig, ppo: PPOConfig, attribution: AttributionConfig) -> None:
    """Every searched parameter does something, and every arm is valid."""
    parameters = search_space.parameters
    units, missing_eos = (
        set(search_space.choices[name].values) if name in search_space.choices else {held}
        for name, held in (("units", attribution.units), ("missing_eos", ppo.missing_eos))
    )
    idle = {
        "max_units": "attribution.units: spans" if not units & {"spans", "auto"} else None,
        "critic_lambda": "ppo.algorithm: ppo" if ppo.algorithm != "ppo" else None,
        "value_coef": "ppo.algorithm: ppo" if ppo.algorithm != "ppo" else None,
        "value_clip_range": "ppo.algorithm: ppo" if ppo.algorithm != "ppo" else None,
        "missing_eos_penalty": "ppo.missing_eos: penalty" if "penalty" not in missing_eos else None,
        "adaptive_kl_horizon": "ppo.adaptive_kl"
        if ppo.adaptive_kl is None and "adaptive_kl" not in parameters
        else None,
    }
    for name in parameters:
        if idle.get(name):
            raise ValueError(f"search_space.parameters.{name} would change nothing: it needs {idle[name]}")
    names = list(parameters)
    for values in itertools.product(*(parameter.extremes for parameter in parameters.values())):
        try:
            with_parameters(ppo, attribution, dict(zip(names, values, strict=True)))
        except ValidationError as error:
            arm = ", ".join(f"{name} {describe_value(value, 6)}" for name, value in zip(names, values, strict=True))
            raise ValueError(f"search_space.parameters allow {arm}: {describe_validation_error(error)}") from None


def check_early_stopping(
    early: EarlyStoppingConfig | None, ppo: PPOConfig, evaluation: EvaluationConfig, budget: BudgetConfig
) -> None:
    """Some trial could be ended: there are curves to compare with, and points to compare at."""
    if early is None:
        return
    steps, every = ppo.steps, evaluation.every
    # The curve has a point every so many steps; the one after the last step ends the trial anyway.
    if not any(early.min_step <= step < steps for step in range(every, steps, every)):
        raise ValueError(
            f"early_stopping could never end a trial: the learning curve (ppo.steps {steps}, evaluation.every {every}) "
            f"has no point from early_stopping.min_step {early.min_step} on and before the end"
        )
    if early.patience > early.min_step:
        raise ValueError(
            f"early_stopping.patience looks back {early.patience} steps, so early_stopping.min_step must be at least "
            f"that, got {early.min_step}"
        )
    if early.min_curves >= budget.trials:
        raise ValueError(
            f"early_stopping.min_curves must be below budget.trials, got {early.min_curves} and {budget.trials}"
        )


def check_objective(objective: ObjectiveConfig, design: DesignConfig, budget: BudgetConfig) -> None:
    """Nothing that is about one best arm goes with a whole front."""
    if not objective.pareto:
        return
    if objective.measure == "held":
        raise ValueError("objective.pareto trades reward for KL, which objective.measure: held fixes; use final or auc")
    if design.acquisition == "kg":
        raise ValueError("design.acquisition: kg knows one objective; with objective.pareto use lognei")
    if budget.stop_when_regret_below is not None:
        raise ValueError("budget.stop_when_regret_below is about one best arm, objective.pareto looks for many")


def check_executor(
    executor: str, workers: WorkersConfig, budget: BudgetConfig, early_stopping: EarlyStoppingConfig | None
) -> None:
    """The executor knows every setting that is made about it."""
    for setting, is_set, works_with in (
        ("workers.gpus_per_trial", workers.gpus_per_trial > 0, ("process", "ray", "slurm")),
        ("workers.address", workers.address is not None, ("ray",)),
        ("workers.options", bool(workers.options), ("slurm",)),
        ("early_stopping", early_stopping is not None, ("process", "ray", "slurm")),
        ("budget.trial_seconds", budget.trial_seconds is not None, ("process", "ray", "slurm")),
    ):
        if is_set and executor not in works_with:
            raise ValueError(f"{setting} does nothing with executor: {executor}; it works with {', '.join(works_with)}")
