"""What a study is: the task, the inner loop, the search space and the budget, from YAML."""

import copy
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, Self

import yaml
from pydantic import Field, NonNegativeInt, PositiveInt, ValidationError, field_validator, model_validator

from bo_shaping.config.conflicts import (
    check_components,
    check_early_stopping,
    check_executor,
    check_objective,
    check_parameters,
)
from bo_shaping.config.inner_loop import DEFAULT_INNER_LOOP
from bo_shaping.config.related import RelatedTask
from bo_shaping.config.search_space_config import SearchSpaceConfig
from bo_shaping.config.sections import (
    BudgetConfig,
    DesignConfig,
    EarlyStoppingConfig,
    NoiseConfig,
    ObjectiveConfig,
    WorkersConfig,
)
from bo_shaping.config.trackers import Options, read_trackers
from bo_shaping.config.yaml_text import YAMLTextError, read_yaml
from bo_shaping.errors import ConfigError
from inner_loop.io.schema import StrictModel, describe_validation_error, shown
from inner_loop.spec import AttributionConfig, EvaluationConfig, PPOConfig, TaskConfig


class StudyConfig(StrictModel):
    """Everything a study depends on."""

    name: str
    """Name of the study and of its folder."""
    seed: NonNegativeInt = 0
    """Seed of the outer loop, and first seed of every arm: all arms share their seeds (common random numbers)."""
    task: TaskConfig = TaskConfig()
    ppo: PPOConfig = PPOConfig()
    """Inner training; fields named in `search_space.parameters`, here or in `attribution`, are set by each trial."""
    attribution: AttributionConfig = AttributionConfig()
    evaluation: EvaluationConfig = EvaluationConfig()
    n_samples: int = Field(default=8, ge=0, le=64)
    """Explained validation responses kept per trial."""
    search_space: SearchSpaceConfig = SearchSpaceConfig()
    design: DesignConfig = DesignConfig()
    objective: ObjectiveConfig = ObjectiveConfig()
    budget: BudgetConfig = BudgetConfig()
    noise: NoiseConfig = NoiseConfig()
    early_stopping: EarlyStoppingConfig | None = None
    inner_loop: str = DEFAULT_INNER_LOOP
    """`module:function` that turns a `TrialSpec` into progress events and a `TrialResult`."""
    executor: Literal["process", "inline", "ray", "slurm"] = "process"
    """Where trials run: in detached processes on this machine, one after the other inside the driver, on a Ray cluster,
    or as Slurm jobs."""
    workers: WorkersConfig = WorkersConfig()
    storage: str | None = None
    """SQLAlchemy URL of the database; null for an SQLite file in the study's folder."""
    threads_per_trial: PositiveInt = 1
    """Compute threads of one trial. More than one is slower as soon as another process is busy."""
    tracking: dict[str, Options] = Field(default={})
    """Experiment trackers that get a run per trial, such as `tensorboard` or `[trackio, wandb]`: tensorboard, trackio,
    wandb, mlflow, aim, clearml, comet_ml, dvclive or swanlab. With a mapping, each with options of its own library:
    `{wandb: {entity: my-team}}`. Keys and passwords belong into the environment, not here."""
    related: tuple[RelatedTask, ...] = ()
    """Trials of other tasks that the surrogate learns from; `launch --from` puts them here."""

    @model_validator(mode="before")
    @classmethod
    def _asks_an_own_inner_loop_for_its_end_alone(cls, data: Any) -> Any:
        """A training of somebody's own need not have a learning curve, off which the reward that is held is read."""
        if not isinstance(data, dict) or data.get("inner_loop", DEFAULT_INNER_LOOP) == DEFAULT_INNER_LOOP:
            return data
        objective = data.get("objective", {})
        return {**data, "objective": {"measure": "final", **objective}} if isinstance(objective, dict) else data

    @field_validator("name")
    @classmethod
    def _can_name_a_folder(cls, name: str) -> str:
        if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}", name):
            raise ValueError(
                f"{shown(name)} cannot be the name of a study and of its folder; write at most 100 letters (a to z), "
                f"digits, dots, hyphens and underscores, the first one a letter or digit, such as {_usable(name)} "
                "(where the key is left out, the file's name is taken)"
            )
        return name

    @field_validator("inner_loop")
    @classmethod
    def _names_a_function(cls, inner_loop: str) -> str:
        if not re.fullmatch(r"[A-Za-z_][\w.]*:[A-Za-z_]\w*", inner_loop):
            raise ValueError(f"{shown(inner_loop)} is not module:function, such as {DEFAULT_INNER_LOOP}")
        return inner_loop

    @field_validator("tracking", mode="before")
    @classmethod
    def _names_trackers(cls, tracking: Any) -> Any:
        return read_trackers(tracking)

    @field_validator("evaluation")
    @classmethod
    def _never_sees_the_heldout_prompts(cls, evaluation: EvaluationConfig) -> EvaluationConfig:
        if evaluation.split != "validation":
            raise ValueError(f"split must be 'validation' in a study, got {evaluation.split!r}")
        return evaluation

    @model_validator(mode="after")
    def _has_no_conflicts(self) -> Self:
        check_components(self.search_space, self.attribution, self.task)
        check_parameters(self.search_space, self.ppo, self.attribution)
        check_early_stopping(self.early_stopping, self.ppo, self.evaluation, self.budget)
        check_objective(self.objective, self.design, self.budget)
        check_executor(self.executor, self.workers, self.budget, self.early_stopping)
        return self

    @classmethod
    def from_yaml(cls, path: str | Path, overrides: Sequence[str] = ()) -> "StudyConfig":
        """Read a study from a YAML file; a missing `name` becomes the name of the file.

        Args:
            path: The YAML file.
            overrides: Dotted settings such as `ppo.steps=3`; values are read as YAML.

        Raises:
            ConfigError: In one sentence that names the file and, for an unknown key, the nearest valid one.
        """
        path = Path(path)
        try:
            data = read_yaml(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            raise ConfigError(f"There is no config file {path}.") from None
        except OSError as error:
            raise ConfigError(f"The config file {path} cannot be read: {error.strerror}.") from None
        except UnicodeDecodeError:
            raise ConfigError(f"The config file {path} is not UTF-8 text; save it as UTF-8.") from None
        except YAMLTextError as error:
            raise ConfigError(f"The config file {path} is not valid YAML: {error}.") from None
        if data is None:
            data = {}
        if not isinstance(data, dict):
            raise ConfigError(
                f"The config file {path} must hold keys and values, such as budget: {{trials: 14}}, got {shown(data)}."
            )
        return cls.from_data({"name": path.stem} | data, overrides, str(path))

    @classmethod
    def from_data(cls, data: Mapping[str, Any], overrides: Sequence[str], source: str) -> "StudyConfig":
        """A study from nested keys and values, which stay as they are.

        Args:
            data: The settings.
            overrides: As of `from_yaml`.
            source: Where they come from, for messages.

        Raises:
            ConfigError: As `from_yaml`.
        """
        settings = copy.deepcopy(dict(data))
        for override in overrides:
            _apply(settings, override)
        try:
            return cls.model_validate(settings)
        except ValidationError as error:
            raise ConfigError(f"{source}: {describe_validation_error(error)}.") from None

    def to_yaml(self) -> str:
        """The resolved configuration, every default written out."""
        return yaml.safe_dump(self.model_dump(mode="json"), sort_keys=False, allow_unicode=True)


def _usable(name: str) -> str:
    """A name that can be used, as like `name` as possible."""
    return re.sub(r"[^A-Za-z0-9._-]+", "-", name).strip("-._")[:100] or "my-study"


def _apply(data: dict[str, Any], override: str) -> None:
    """Set `a.b.c=value` in nested dictionaries, in place."""
    key, equals, text = override.partition("=")
    if not equals or not all(key.split(".")):
        raise ConfigError(f"A setting looks like ppo.steps=3, got {override!r}.")
    try:
        value = read_yaml(text)
    except YAMLTextError as error:
        raise ConfigError(f"The value of the setting {override!r} is not valid YAML: {error}.") from None
    *sections, last = key.split(".")
    for section in sections:
        if data.get(section) is None:
            data[section] = {}
        data = data[section]
        if not isinstance(data, dict):
            raise ConfigError(f"The setting {override!r} goes through {section!r}, which holds no keys.")
    data[last] = value
