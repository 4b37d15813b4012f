"""Which experiment trackers a study may be written to: `tracking:` in its configuration."""

import importlib.util
from typing import Any

from bo_shaping.errors import ConfigError
from inner_loop.io.schema import nearest, shown

PACKAGES = {
    "tensorboard": ("tensorboard", "tensorboard"),
    "trackio": ("trackio", "trackio"),
    "wandb": ("wandb", "wandb"),
    "mlflow": ("mlflow", "mlflow"),
    "aim": ("aim", "aim"),
    "clearml": ("clearml", "clearml"),
    "comet_ml": ("comet_ml", "comet-ml"),
    "dvclive": ("dvclive", "dvclive"),
    "swanlab": ("swanlab", "swanlab"),
}
"""Tracker -> the module that it needs, and the package to install for it. The trackers that accelerate knows."""

Options = dict[str, str | int | float | bool]
"""What a tracker is told beside what the study says, as its own library calls it."""


def read_trackers(value: Any) -> Any:
    """A name, a list of names, or names with options, as names with options.

    Raises:
        ValueError: If there is no such tracker.
    """
    if value is None:
        value = {}
    if isinstance(value, str):
        value = [value]
    if isinstance(value, list | tuple) and all(isinstance(name, str) for name in value):
        value = {name: {} for name in value}
    if not isinstance(value, dict):
        raise ValueError(f"write one tracker or a list of them, such as [tensorboard, trackio], got {shown(value)}")
    for name in value:
        if name not in PACKAGES:
            raise ValueError(
                f"unknown tracker {shown(name)}, did you mean {nearest(str(name), PACKAGES)!r}? Trackers: "
                f"{', '.join(PACKAGES)}"
            )
    return {name: {} if options is None else options for name, options in value.items()}


def refuse_missing_packages(trackers: "dict[str, Options]") -> None:
    """Raise `ConfigError` in one sentence if a tracker's package is not installed."""
    for name in trackers:
        module, package = PACKAGES[name]
        if importlib.util.find_spec(module) is None:
            raise ConfigError(
                f"tracking: {name} needs the package {package}, which is not installed; install it with "
                f"pip install {package}, or take {name} out of tracking."
            )
