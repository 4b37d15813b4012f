"""Weights & Biases: a project per study, a run per trial, token credit as tables. Offline with WANDB_MODE=offline."""

from pathlib import Path
from typing import Any

import wandb

from bo_shaping.config.trackers import Options
from bo_shaping.tracking.credit import credit_columns, credit_rows
from bo_shaping.tracking.lines import Line
from bo_shaping.tracking.tracker import RunHead

STEP = "ppo_step"
"""The horizontal axis: a run's own steps must go up, and ours begin again with every seed."""

# It would print over the study's own screen, take what that prints, and measure a machine on which no trial computes.
QUIET = wandb.Settings(silent=True, console="off", x_disable_stats=True)


class WeightsAndBiases:
    """Runs of one project; options are those of `wandb.init`."""

    is_live = True
    is_readable = False

    def __init__(self, folder: Path, options: Options) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._options = options

    def open(self, head: RunHead) -> "WeightsAndBiasesRun":
        """Begin a run, or go on with it."""
        own: Options = {"project": head.study, "group": head.study, "name": head.name, "id": head.key}
        own |= {"resume": "allow", "reinit": "create_new", "dir": str(self._folder)}
        run = wandb.init(config=dict(head.config), **{"settings": QUIET, **own, **self._options})
        run.define_metric("*", step_metric=STEP)
        return WeightsAndBiasesRun(run)


class WeightsAndBiasesRun:
    """The run of one trial."""

    def __init__(self, run: Any) -> None:
        self._run = run

    def last_steps(self) -> None:
        """A run that goes on does not say what it holds."""
        return

    def write(self, line: Line) -> None:
        """Add numbers, a response as a table, and texts to the summary."""
        values: dict[str, Any] = {**line.values, STEP: line.step}
        if line.credit is not None:
            table = wandb.Table(columns=credit_columns(line.credit), data=credit_rows(line.credit))
            values[f"{line.group}/tokens-{line.step}"] = table
        self._run.log(values)
        self._run.summary.update({f"{line.group}/{name}": text for name, text in line.texts.items()})

    def flush(self) -> None:
        """Nothing to do: a process of the library's own sends."""

    def close(self) -> None:
        """Send what is left."""
        self._run.finish()
