"""The other trackers that accelerate knows, by its classes: Aim, ClearML, Comet, DVCLive and SwanLab.

Most of them keep one run in a global variable, so a trial is written whole, once it has ended. They get the numbers;
how each shows texts and tables is not the same anywhere.
"""

import logging
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from accelerate import tracking

from bo_shaping.config.trackers import Options
from bo_shaping.tracking.lines import Line
from bo_shaping.tracking.tracker import RunHead

_OWN: Mapping[str, Callable[[RunHead, Path], dict[str, Any]]] = {
    "aim": lambda head, folder: {"run_name": head.name, "logging_dir": str(folder), "experiment": head.study},
    "clearml": lambda head, _: {"run_name": head.study, "task_name": head.name, "reuse_last_task_id": False},
    "comet_ml": lambda head, _: {"run_name": head.study, "experiment_config": _quiet_comet(head.name)},
    "dvclive": lambda head, folder: {"dir": str(folder / head.name), "save_dvc_exp": False, "dvcyaml": None},
    "swanlab": lambda head, folder: {
        "run_name": head.study,
        "experiment_name": head.name,
        "group": head.study,
        "logdir": str(folder),
    },
}


def _quiet_comet(name: str) -> Any:
    """Without what the study prints, the code of whoever drives it, and a summary over the study's own screen."""
    from comet_ml import ExperimentConfig

    quiet: dict[str, Any] = {"auto_output_logging": False, "log_code": False, "log_env_details": False}
    return ExperimentConfig(name=name, display_summary_level=0, **quiet)


class _PlainLogger(logging.LoggerAdapter):
    """accelerate's own logger refuses to work in a process that has not set up distributed training."""

    def warning_once(self, message: str, *arguments: object) -> None:
        self.debug(message, *arguments)


class OtherTracker:
    """Runs of one of these trackers; options are those of its library."""

    is_live = False
    is_readable = False

    def __init__(self, name: str, folder: Path, options: Options) -> None:
        self._name = name
        self._folder = folder
        self._options = options
        tracking.logger = _PlainLogger(logging.getLogger("accelerate.tracking"), {})

    def open(self, head: RunHead) -> "OtherRun":
        """Begin a run."""
        self._folder.mkdir(parents=True, exist_ok=True)
        own = _OWN[self._name](head, self._folder)
        tracker = tracking.LOGGER_TYPE_TO_CLASS[self._name](**{**own, **self._options})
        # Asked which process of several it is, accelerate would set up a GPU in this one.
        tracker.main_process_only = False
        tracker.start()
        tracker.store_init_configuration(dict(head.config))
        return OtherRun(tracker)


class OtherRun:
    """The run of one trial."""

    def __init__(self, tracker: Any) -> None:
        self._tracker = tracker

    def last_steps(self) -> None:
        """None of them says what a run holds."""
        return

    def write(self, line: Line) -> None:
        """Add the numbers."""
        if line.numbers:
            self._tracker.log(line.values, step=line.step)

    def flush(self) -> None:
        """Nothing to do: a run is closed as soon as it is written."""

    def close(self) -> None:
        """Write what is left."""
        self._tracker.finish()
