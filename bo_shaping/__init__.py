"""The outer loop: Bayesian optimisation of reward shaping over inner RLHF trainings.

Importing this package is cheap: Ax, BoTorch and torch are loaded when they are first used.
"""

import importlib
import logging
from typing import TYPE_CHECKING, Any

from bo_shaping.config import StudyConfig

if TYPE_CHECKING:
    from bo_shaping.study import Study

__all__ = ["Study", "StudyConfig"]


def __getattr__(name: str) -> Any:
    if name == "Study":
        # Ax reports its own import.
        disabled = logging.root.manager.disable
        logging.disable(max(disabled, logging.INFO))
        try:
            return importlib.import_module("bo_shaping.study").Study
        finally:
            logging.disable(disabled)
    raise AttributeError(f"module 'bo_shaping' has no attribute {name!r}")
