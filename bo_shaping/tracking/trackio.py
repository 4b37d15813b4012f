"""Trackio: a project per study in its local database (`trackio show --project STUDY`), token credit as traces."""

import contextvars
from typing import Any

import trackio
from trackio.context_vars import current_run
from trackio.sqlite_storage import SQLiteStorage

from bo_shaping.config.trackers import Options
from bo_shaping.tracking.credit import credit_data
from bo_shaping.tracking.lines import Line
from bo_shaping.tracking.tracker import RunHead

# The driver's machine is not where trials compute, and no page opens by itself.
DEFAULTS: Options = {"embed": False, "auto_log_gpu": False, "auto_log_cpu": False}

KEY = "run_key"
"""Setting by which the run of a trial is found again."""


class Trackio:
    """Runs of one project; options are those of `trackio.init`."""

    is_live = True
    is_readable = True

    def __init__(self, options: Options) -> None:
        self._options = options
        self._context = contextvars.copy_context()

    def open(self, head: RunHead) -> "TrackioRun":
        """Begin a run, or go on with it."""
        return TrackioRun(self._context.run(self._open, head), head)

    def _open(self, head: RunHead) -> Any:
        # The library ends the run before when another begins; here several trials run side by side.
        current_run.set(None)
        own = {"project": head.study, "name": head.name, "group": head.study}
        settings = {**DEFAULTS, **own, "config": {**head.config, KEY: head.key}, **self._options}
        # An earlier study of that name may have left a run of that name.
        known = SQLiteStorage.get_run_config(settings["project"], head.name) or {}
        return trackio.init(**{"resume": "allow" if known.get(KEY) == head.key else "never", **settings})


class TrackioRun:
    """The run of one trial."""

    def __init__(self, run: Any, head: RunHead) -> None:
        self._run = run
        self._head = head
        self._seen = _seen(run) if run.url is None else None

    def last_steps(self) -> dict[str, int] | None:
        """The last step of each group in the local database; None if it is elsewhere."""
        return self._seen

    def write(self, line: Line) -> None:
        """Add numbers and texts, and a response as a trace."""
        values: dict[str, Any] = {**line.values}
        values |= {f"{line.group}/{name}": text for name, text in line.texts.items()}
        if line.credit is not None:
            values[f"{line.group}/tokens"] = trackio.Trace(
                [
                    {"role": "user", "content": line.credit.prompt},
                    {"role": "assistant", "content": line.credit.response},
                ],
                metadata=credit_data(line.credit),
            )
        self._run.log(values, step=line.step)

    def flush(self) -> None:
        """Nothing to do: the library writes every half second."""

    def close(self) -> None:
        """Write what is left."""
        self._run.finish()


def _seen(run: Any) -> dict[str, int]:
    last: dict[str, int] = {}
    for row in SQLiteStorage.get_logs(run.project, run.name, run_id=run.id):
        for name in row.keys() - {"timestamp", "step"}:
            group = name.rpartition("/")[0]
            last[group] = max(last.get(group, -1), row["step"])
    return last
