"""What a person sees while a study runs: a live table on a terminal, plain lines anywhere else."""

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.text import Text

from bo_shaping.errors import StorageError
from bo_shaping.storage.study_folder import StudyFolder
from bo_shaping.views.status import TrialStatus, study_status
from bo_shaping.views.trials_table import TrialsView, print_trials, trial_line

WATCH_SECONDS = 0.5
"""How often a study that another process drives is looked at."""

_REST = 20
"""The view rests so many times as long as it took: it must not slow down the driver of a study of many trials."""


_FRAME_LINES, _FEWEST = 4, 5
"""Lines of the live view that are no trial; trials shown on however low a terminal."""


@contextmanager
def live_view(folder: StudyFolder, n_trials: int, console: Console) -> Iterator[Callable[[], None]]:
    """Yields the function to call at every poll; `n_trials` is how many trials the run ends with."""
    if console.is_terminal:
        overall = Progress(TextColumn("trials"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
        task = overall.add_task("trials", total=n_trials)
        with Live(console=console, refresh_per_second=4, transient=True) as live:

            def update() -> None:
                status = study_status(folder)
                done = sum(status.count(ended) for ended in ("completed", "stopped", "failed"))
                overall.update(task, completed=done, total=max(n_trials, len(status.trials)))
                live.update(Group(*_newest(status.trials, console.height), overall))

            yield _sparing(update)
        print_trials(console, study_status(folder).trials)
        return
    changes = _Changes(folder, lambda trial: console.print(Text(trial_line(trial)), soft_wrap=True))
    changes.skip()
    try:
        yield _sparing(changes.show)
    finally:
        _unharmed(changes.show)


def watch(folder: StudyFolder, console: Console, *, as_json: bool = False) -> None:
    """Show a study until nobody drives it any more: live on a terminal, else a line per change (JSON if asked for)."""
    if console.is_terminal and not as_json:
        console.print(Text(study_status(folder).headline()), soft_wrap=True)
        with live_view(folder, folder.config().budget.trials, console) as on_change:
            while folder.driver() is not None:
                on_change()
                time.sleep(WATCH_SECONDS)
    else:
        changes = _Changes(folder, lambda trial: console.print(Text(_line(trial, as_json)), soft_wrap=True))
        is_driven = True
        while is_driven:
            # Asked first: what the driver did before it ended is shown.
            is_driven = folder.driver() is not None
            changes.show()
            console.file.flush()
            if is_driven:
                time.sleep(WATCH_SECONDS)
    if not as_json:
        console.print(Text(study_status(folder).headline()), soft_wrap=True)


class _Changes:
    """Trials whose status is another than when they were last looked at."""

    def __init__(self, folder: StudyFolder, show: Callable[[TrialStatus], None]) -> None:
        self._folder = folder
        self._show = show
        self._seen: dict[int, str] = {}

    def skip(self) -> None:
        self._seen = {trial.record.index: trial.status for trial in study_status(self._folder).trials}

    def show(self) -> None:
        for trial in study_status(self._folder).trials:
            if self._seen.get(trial.record.index) != trial.status:
                self._seen[trial.record.index] = trial.status
                self._show(trial)


def _newest(trials: list[TrialStatus], height: int) -> list[RenderableType]:
    """The last trials, as many as there is room for with a line for each remark."""
    remarks = sum(trial.status != "completed" for trial in trials)
    n = max(len(trials) - max(height - _FRAME_LINES - remarks, _FEWEST), 0)
    return [*([f"(and {n} earlier trials)"] if n else []), TrialsView(trials[n:], brief=True)]


def _line(trial: TrialStatus, as_json: bool) -> str:
    return json.dumps(trial.to_json()) if as_json else trial_line(trial)


def _sparing(show: Callable[[], None]) -> Callable[[], None]:
    """`show`, passed over while it would take more than its share of the time."""
    due = 0.0

    def show_if_due() -> None:
        nonlocal due
        started = time.monotonic()
        if started >= due:
            _unharmed(show)
            ended = time.monotonic()
            due = ended + _REST * (ended - started)

    return show_if_due


def _unharmed(show: Callable[[], None]) -> None:
    """What is wrong with the view, or with who reads it (`| head`), is no reason to end a study."""
    with suppress(StorageError, BrokenPipeError):
        show()
