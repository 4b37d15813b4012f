"""The inner loop: one short RLHF training with mixed dense credit, and all that is useful without the outer loop.

Importing this package is cheap: what needs torch is loaded when it is first used.
"""

import importlib
from importlib import metadata
from typing import TYPE_CHECKING, Any

from inner_loop.spec import TrialProgress, TrialResult, TrialSpec, result_of

if TYPE_CHECKING:
    from inner_loop.shaping import ShapingFunction
    from inner_loop.trial import run_trial

__all__ = ["ShapingFunction", "TrialProgress", "TrialResult", "TrialSpec", "__version__", "result_of", "run_trial"]

try:
    __version__ = metadata.version("bo-shaping")
except metadata.PackageNotFoundError:  # a checkout that was not installed
    __version__ = "0+unknown"

_LAZY = {"ShapingFunction": "inner_loop.shaping", "run_trial": "inner_loop.trial"}


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        return getattr(importlib.import_module(_LAZY[name]), name)
    raise AttributeError(f"module 'inner_loop' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
