"""The outer loop: Bayesian optimisation of reward shaping over inner RLHF trainings.

Importing this package is cheap: Ax, BoTorch and torch are loaded when they are first used.
"""

import importlib
import logging
from typing import TYPE_CHECKING, Any

from bo_shaping.config import StudyConfig
from bo_shaping.errors import BoShapingError
from inner_loop import __version__

if TYPE_CHECKING:
    from bo_shaping.storage.records import TrialRecord
    from bo_shaping.study import Study
    from bo_shaping.surrogate.recommendation import Best, Surface

__all__ = ["Best", "BoShapingError", "Study", "StudyConfig", "Surface", "TrialRecord", "__version__"]

_LAZY = {
    "Best": "bo_shaping.surrogate.recommendation",
    "Study": "bo_shaping.study",
    "Surface": "bo_shaping.surrogate.recommendation",
    "TrialRecord": "bo_shaping.storage.records",
}


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module 'bo_shaping' has no attribute {name!r}")
    # Ax reports its own import.
    disabled = logging.root.manager.disable
    logging.disable(max(disabled, logging.INFO))
    try:
        return getattr(importlib.import_module(_LAZY[name]), name)
    finally:
        logging.disable(disabled)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
