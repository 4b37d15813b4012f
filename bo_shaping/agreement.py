"""Settings of a study that contradict each other, or that would do nothing: refused with the way out."""

import itertools
from typing import TYPE_CHECKING

from pydantic import ValidationError

from inner_loop.schema import describe_validation_error

if TYPE_CHECKING:
    from bo_shaping.config import StudyConfig


def check_agreement(config: "StudyConfig") -> None:
    """Check what no section of the configuration can check by itself.

    Raises:
        ValueError: Naming both settings.
    """
    _check_parameters(config)
    _check_early_stopping(config)
    _check_objective(config)
    _check_executor(config)


def _check_parameters(config: "StudyConfig") -> None:
    parameters, ppo = config.search_space.parameters, config.ppo
    idle = {
        "value_coef": "ppo.algorithm: ppo" if ppo.algorithm != "ppo" else None,
        "value_clip_range": "ppo.algorithm: ppo" if ppo.algorithm != "ppo" else None,
        "missing_eos_penalty": "ppo.missing_eos: penalty" if ppo.missing_eos != "penalty" else None,
        "adaptive_kl_horizon": "ppo.adaptive_kl"
        if ppo.adaptive_kl is None and "adaptive_kl" not in parameters
        else None,
    }
    for name in parameters:
        if idle.get(name):
            raise ValueError(f"search_space.parameters.{name} would change nothing: it needs {idle[name]}")
    names, base = list(parameters), ppo.model_dump()
    for values in itertools.product(*(parameter.bounds for parameter in parameters.values())):
        try:
            type(ppo).model_validate(base | dict(zip(names, values, strict=True)))
        except ValidationError as error:
            arm = ", ".join(f"{name} {value:g}" for name, value in zip(names, values, strict=True))
            raise ValueError(f"search_space.parameters allow {arm}: {describe_validation_error(error)}") from None


def _check_early_stopping(config: "StudyConfig") -> None:
    early, steps, every = config.early_stopping, config.ppo.steps, config.evaluation.every
    if early is None:
        return
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
    if early.min_curves >= config.budget.trials:
        raise ValueError(
            f"early_stopping.min_curves must be below budget.trials, got {early.min_curves} and {config.budget.trials}"
        )


def _check_objective(config: "StudyConfig") -> None:
    if not config.objective.pareto:
        return
    if config.design.acquisition == "kg":
        raise ValueError("design.acquisition: kg knows one objective; with objective.pareto use lognei")
    if config.budget.stop_when_regret_below is not None:
        raise ValueError("budget.stop_when_regret_below is about one best arm, objective.pareto looks for many")


def _check_executor(config: "StudyConfig") -> None:
    workers, executor = config.workers, config.executor
    for setting, is_set, works_with in (
        ("workers.gpus_per_trial", workers.gpus_per_trial > 0, ("process", "ray", "slurm")),
        ("workers.address", workers.address is not None, ("ray",)),
        ("workers.options", bool(workers.options), ("slurm",)),
        ("early_stopping", config.early_stopping is not None, ("process", "ray", "slurm")),
        ("budget.trial_seconds", config.budget.trial_seconds is not None, ("process", "ray", "slurm")),
    ):
        if is_set and executor not in works_with:
            raise ValueError(f"{setting} does nothing with executor: {executor}; it works with {', '.join(works_with)}")
