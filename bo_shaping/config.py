"""What a study is: the task, the inner loop, the search space and the budget, from YAML."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, Self

import yaml
from pydantic import (
    Field,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    ValidationError,
    field_validator,
    model_validator,
)

from bo_shaping.errors import ConfigError
from inner_loop.components import COMPONENTS, SPARSE
from inner_loop.schema import StrictModel, describe_validation_error, nearest
from inner_loop.spec import AttributionConfig, EvaluationConfig, PPOConfig, TaskConfig

DEFAULT_COMPONENTS: tuple[str, ...] = ("shap", "lime", SPARSE)
"""Those that the published system mixes (arXiv:2504.16272)."""

TUNABLE: tuple[str, ...] = ("gae_lambda", "kl_coef", "learning_rate")
"""Fields of `ppo` that can be learned together with the mixing weights."""

DEFAULT_INNER_LOOP = "inner_loop.trial:run_trial"


class ParameterRange(StrictModel):
    """The range over which one field of `ppo` is searched."""

    bounds: tuple[float, float]
    """Smallest and largest value, both included."""
    log: bool = False
    """Whether the search is uniform in the logarithm of the value."""

    @model_validator(mode="after")
    def _is_a_range(self) -> Self:
        lower, upper = self.bounds
        if not lower < upper:
            raise ValueError(f"bounds must be increasing, got [{lower}, {upper}]")
        if self.log and lower <= 0:
            raise ValueError(f"a logarithmic range needs positive bounds, got [{lower}, {upper}]")
        return self


class SearchSpaceConfig(StrictModel):
    """Where the outer loop looks: the simplex over `components` times a box of `parameters`."""

    components: tuple[str, ...] = DEFAULT_COMPONENTS
    """Ways to spread the reward over tokens that are mixed; at least two, `sparse` among them."""
    parameters: dict[str, ParameterRange] = Field(default={"gae_lambda": ParameterRange(bounds=(0.5, 1.0))})
    """Fields of `ppo` that are searched too: any of gae_lambda, kl_coef, learning_rate."""

    @field_validator("components")
    @classmethod
    def _are_components(cls, components: tuple[str, ...]) -> tuple[str, ...]:
        for component in components:
            if component not in COMPONENTS:
                raise ValueError(
                    f"unknown component {component!r}, did you mean {nearest(component, COMPONENTS)!r}? "
                    f"Components: {', '.join(COMPONENTS)}"
                )
        if len(set(components)) != len(components) or len(components) < 2 or SPARSE not in components:
            raise ValueError(
                f"components must be at least two different ones with {SPARSE!r} among them, got {list(components)}"
            )
        return components

    @field_validator("parameters")
    @classmethod
    def _are_tunable(cls, parameters: dict[str, ParameterRange]) -> dict[str, ParameterRange]:
        for name, parameter in parameters.items():
            if name not in TUNABLE:
                raise ValueError(
                    f"unknown key {name!r}, did you mean {nearest(name, TUNABLE)!r}? Valid keys: {', '.join(TUNABLE)}"
                )
            for bound in parameter.bounds:
                try:
                    PPOConfig.model_validate({name: bound})
                except ValidationError as error:
                    raise ValueError(describe_validation_error(error)) from None
        return parameters


class ObjectiveConfig(StrictModel):
    """What counts as better: more validation reward, within a KL budget."""

    max_kl: PositiveFloat | None = 8.0
    """Largest final KL to the reference policy, in nats per response; null for none."""


class BudgetConfig(StrictModel):
    """How much is spent."""

    trials: PositiveInt = 14
    """Inner trainings in all, the initial design and failed ones included."""
    confirm: NonNegativeInt = 2
    """How many of them, at the end, run what is then recommended unless it was run before: the winner is measured, and
    not only predicted between its neighbours."""
    parallel: PositiveInt = 2
    """Trials that run side by side."""


class NoiseConfig(StrictModel):
    """How the noise between trainings is treated."""

    replicates: PositiveInt = 1
    """Seeds per arm. With one, the Gaussian process infers the noise; with more, it gets their standard error."""


class StudyConfig(StrictModel):
    """Everything a study depends on."""

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$")
    """Name of the study and of its folder."""
    seed: NonNegativeInt = 0
    """Seed of the outer loop, and first seed of every arm: all arms share their seeds (common random numbers)."""
    task: TaskConfig = TaskConfig()
    ppo: PPOConfig = PPOConfig()
    """Inner training; fields named in `search_space.parameters` are overridden by each trial."""
    attribution: AttributionConfig = AttributionConfig()
    evaluation: EvaluationConfig = EvaluationConfig()
    n_samples: int = Field(default=8, ge=0, le=64)
    """Explained validation responses kept per trial."""
    search_space: SearchSpaceConfig = SearchSpaceConfig()
    objective: ObjectiveConfig = ObjectiveConfig()
    budget: BudgetConfig = BudgetConfig()
    noise: NoiseConfig = NoiseConfig()
    inner_loop: str = Field(default=DEFAULT_INNER_LOOP, pattern=r"^[A-Za-z_][\w.]*:[A-Za-z_]\w*$")
    """`module:function` that turns a `TrialSpec` into progress events and a `TrialResult`."""
    executor: Literal["process", "inline"] = "process"
    """Where trials run: each in its own detached process, or one after the other inside the driver."""
    storage: str | None = None
    """SQLAlchemy URL of the database; null for an SQLite file in the study's folder."""
    threads_per_trial: PositiveInt = 1
    """Compute threads of one trial. More than one is slower as soon as another process is busy."""

    @field_validator("evaluation")
    @classmethod
    def _never_sees_the_heldout_prompts(cls, evaluation: EvaluationConfig) -> EvaluationConfig:
        if evaluation.split != "validation":
            raise ValueError(f"split must be 'validation' in a study, got {evaluation.split!r}")
        return evaluation

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
            data = yaml.safe_load(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            raise ConfigError(f"There is no config file {path}.") from None
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError(f"The config file {path} cannot be read: {error}.") from None
        except (yaml.YAMLError, ValueError) as error:  # a date such as 2024-13-45 is a ValueError
            raise ConfigError(f"The config file {path} is not valid YAML: {' '.join(str(error).split())}.") from None
        if data is None:
            data = {}
        if not isinstance(data, dict):
            raise ConfigError(f"The config file {path} must hold keys and values, got {type(data).__name__}.")
        for override in overrides:
            _apply(data, override)
        data.setdefault("name", path.stem)
        try:
            return cls.model_validate(data)
        except ValidationError as error:
            raise ConfigError(f"{path}: {describe_validation_error(error)}.") from None

    def to_yaml(self) -> str:
        """The resolved configuration, every default written out."""
        return yaml.safe_dump(self.model_dump(mode="json"), sort_keys=False, allow_unicode=True)


def _apply(data: dict[str, Any], override: str) -> None:
    """Set `a.b.c=value` in nested dictionaries, in place."""
    key, equals, text = override.partition("=")
    if not equals or not all(key.split(".")):
        raise ConfigError(f"A setting looks like ppo.steps=3, got {override!r}.")
    try:
        value = yaml.safe_load(text)
    except (yaml.YAMLError, ValueError):
        raise ConfigError(f"The value of the setting {override!r} is not valid YAML.") from None
    *sections, last = key.split(".")
    for section in sections:
        if data.get(section) is None:
            data[section] = {}
        data = data[section]
        if not isinstance(data, dict):
            raise ConfigError(f"The setting {override!r} goes through {section!r}, which holds no keys.")
    data[last] = value
