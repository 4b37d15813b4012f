"""Functions that a configuration names as `module:function`."""

import importlib
from collections.abc import Callable
from typing import Any

from inner_loop.errors import EntryPointError
from inner_loop.io.schema import nearest


def import_function(entry_point: str) -> Callable[..., Any]:
    """The function that `module:function` names.

    Raises:
        EntryPointError: If the module cannot be imported, for whatever reason, or the name in it is no function.
    """
    name, _, attribute = entry_point.partition(":")
    try:
        module = importlib.import_module(name)
    except Exception as error:  # whatever the user's module raises when it is imported
        raise EntryPointError(f"{entry_point!r} cannot be imported: {_why(error, name)}") from error
    function = getattr(module, attribute, None)
    if function is None:
        known = [known for known in vars(module) if callable(getattr(module, known)) and not known.startswith("_")]
        hint = f", did you mean {nearest(attribute, known)!r}?" if known else ""
        raise EntryPointError(f"{entry_point!r} cannot be imported: {name} has no function {attribute!r}{hint}")
    if not callable(function):
        raise EntryPointError(f"{entry_point!r} names no function; write module:function")
    return function


def _why(error: Exception, module: str) -> str:
    if isinstance(error, ModuleNotFoundError) and error.name is not None:
        where = "" if error.name in module else f", which {module} imports"
        return f"there is no module {error.name!r} on the Python path{where}"
    return f"{type(error).__name__}: {error}"  # what the user's own code raised
