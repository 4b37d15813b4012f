"""The seam between the two loops: `TrialSpec -> TrialProgress... -> TrialResult`, all plain, serialisable data.

Whoever can produce `TrialProgress` and `TrialResult` from a `TrialSpec` is an inner loop. This package imports
neither torch nor transformers, so that the outer loop can read finished trials in an instant.

Units: rewards and scores are in the reward model's own units (log-odds for the embedded one); KL is in nats per
response, summed over its tokens; lengths are in policy tokens; times in seconds.
"""

from inner_loop.spec.attribution_config import AttributionConfig, BasePlacement, ImplicitConfig, TokenModelConfig
from inner_loop.spec.component_names import COMPONENTS, SPARSE, SUM_ATOL, check_components, check_mixing_weights
from inner_loop.spec.evaluation_config import EvaluationConfig
from inner_loop.spec.ppo_config import PPOConfig
from inner_loop.spec.scoring_config import JudgeConfig, ScoringConfig
from inner_loop.spec.task_config import TaskConfig
from inner_loop.spec.trial_result import (
    CurvePoint,
    ExplainedResponse,
    PromptCounts,
    StepStats,
    TrialProgress,
    TrialResult,
    Unread,
    result_of,
)
from inner_loop.spec.trial_spec import TrialSpec

__all__ = [
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
]
