"""The inner loop: one short RLHF training with mixed dense credit, and all that is useful without the outer loop.

Importing this package is cheap: what needs torch is loaded when it is first used.
"""

import importlib
from typing import TYPE_CHECKING, Any

from inner_loop.spec import TrialProgress, TrialResult, TrialSpec

if TYPE_CHECKING:
    from inner_loop.shaping import ShapingFunction
    from inner_loop.trial import run_trial

__all__ = ["ShapingFunction", "TrialProgress", "TrialResult", "TrialSpec", "run_trial"]

_LAZY = {"ShapingFunction": "inner_loop.shaping", "run_trial": "inner_loop.trial"}


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        return getattr(importlib.import_module(_LAZY[name]), name)
    raise AttributeError(f"module 'inner_loop' has no attribute {name!r}")
