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
from inner_loop.spec.task_config import TaskConfig
from inner_loop.spec.trial_result import CurvePoint, ExplainedResponse, StepStats, TrialProgress, TrialResult, result_of
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
    "PPOConfig",
    "StepStats",
    "TaskConfig",
    "TokenModelConfig",
    "TrialProgress",
    "TrialResult",
    "TrialSpec",
    "check_components",
    "check_mixing_weights",
    "result_of",
]
