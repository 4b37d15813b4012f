"""The outer loop: Bayesian optimisation of reward shaping over inner RLHF trainings.

Importing this package is cheap: Ax, BoTorch and torch are loaded when they are first used.
"""

import importlib
from typing import TYPE_CHECKING, Any

from bo_shaping.config import StudyConfig

if TYPE_CHECKING:
    from bo_shaping.study import Study

__all__ = ["Study", "StudyConfig"]


def __getattr__(name: str) -> Any:
    if name == "Study":
        return importlib.import_module("bo_shaping.study").Study
    raise AttributeError(f"module 'bo_shaping' has no attribute {name!r}")
