"""What the outer loop hands to an inner run."""

from pydantic import Field, NonNegativeInt, field_validator

from inner_loop.io.schema import StrictModel
from inner_loop.spec.attribution_config import AttributionConfig
from inner_loop.spec.component_names import check_mixing_weights
from inner_loop.spec.evaluation_config import EvaluationConfig
from inner_loop.spec.ppo_config import PPOConfig
from inner_loop.spec.task_config import TaskConfig


class TrialSpec(StrictModel):
    """Everything one inner run depends on.

    >>> TrialSpec(weights={"sparse": 1.0}, ppo={"epoch": 2})
    Traceback (most recent call last):
    pydantic_core._pydantic_core.ValidationError: 1 validation error for TrialSpec
    ppo
      Value error, unknown key 'epoch', did you mean 'epochs'? ...
    """

    weights: dict[str, float]
    """Mixing weights: >= 0, summing to 1. Components that are left out have weight 0."""
    task: TaskConfig = TaskConfig()
    attribution: AttributionConfig = AttributionConfig()
    ppo: PPOConfig = PPOConfig()
    evaluation: EvaluationConfig = EvaluationConfig()
    seed: NonNegativeInt = 0
    """Seed of prompts drawn, sampling and minibatch order. Equal specs give equal results on one machine."""
    n_samples: int = Field(default=8, ge=0, le=64)
    """Validation responses kept in the result with the credit of every token."""

    @field_validator("weights")
    @classmethod
    def _on_the_simplex(cls, weights: dict[str, float]) -> dict[str, float]:
        check_mixing_weights(weights)
        return weights
