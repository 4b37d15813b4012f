"""Functions that a configuration names as `module:function`."""

import importlib
from collections.abc import Callable
from typing import Any

from inner_loop.errors import EntryPointError


def import_function(entry_point: str) -> Callable[..., Any]:
    """The function that `module:function` names.

    Raises:
        EntryPointError: If the module cannot be imported, for whatever reason, or the name in it is no function.
    """
    module, _, name = entry_point.partition(":")
    try:
        function = getattr(importlib.import_module(module), name)
    except Exception as error:  # whatever the user's module raises when it is imported
        raise EntryPointError(
            f"{entry_point!r} cannot be imported ({type(error).__name__}: {error}); it must be module:function, on the "
            "Python path"
        ) from error
    if not callable(function):
        raise EntryPointError(f"{entry_point!r} is not a function but a {type(function).__name__}")
    return function
