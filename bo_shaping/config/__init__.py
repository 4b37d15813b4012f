"""What is a study? Its configuration, checked in one place: unknown keys and conflicts are refused with the way out.

Imports neither torch nor Ax, so that a study can be looked at in an instant.
"""

from bo_shaping.config.related import RelatedTask, RelatedTrial
from bo_shaping.config.search_space_config import SearchSpaceConfig
from bo_shaping.config.searched_parameter import ParameterRange, ParameterValues
from bo_shaping.config.sections import (
    BudgetConfig,
    DesignConfig,
    EarlyStoppingConfig,
    NoiseConfig,
    ObjectiveConfig,
    WorkersConfig,
)
from bo_shaping.config.study_config import StudyConfig

__all__ = [
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
]
