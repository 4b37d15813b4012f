"""What a person sees while a study runs: a live table on a terminal, plain lines anywhere else."""

import json
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.text import Text

from bo_shaping.errors import StorageError
from bo_shaping.storage.records import ENDED
from bo_shaping.storage.study_folder import StudyFolder
from bo_shaping.text.hidden_characters import visible_text
from bo_shaping.text.wording import describe_duration
from bo_shaping.views.running import BestSoFar, Running, running_of, study_seconds_left
from bo_shaping.views.status import StudyStatus, TrialStatus, study_status
from bo_shaping.views.trials_table import TrialsView, print_trials, trial_line

WATCH_SECONDS = 0.5
"""How often a study that another process drives is looked at."""

_REST = 20
"""The view rests so many times as long as it took: it must not slow down the driver of a study of many trials."""


_FRAME_LINES, _FEWEST = 4, 5
"""Lines of the live view that are no trial; trials shown on however low a terminal."""


class LiveScreen:
    """One screen of a study that runs: its trials, what has failed, what is best so far, and what is left.

    Args:
        folder: The study.
        n_trials: How many trials the run ends with.
        clock: Seconds since the epoch.
    """

    def __init__(self, folder: StudyFolder, n_trials: int, clock: Callable[[], float] = time.time) -> None:
        self._folder, self._n_trials, self._clock = folder, n_trials, clock
        self._best = BestSoFar(folder)
        columns = (TextColumn("trials"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
        self._overall = Progress(*columns, get_time=clock)
        self._task = self._overall.add_task("trials", total=n_trials)

    def now(self, width: int, height: int) -> Group:
        """How it stands, on a terminal of so many columns and lines."""
        status = study_status(self._folder)
        running = _running(self._folder, status, self._clock)
        n_all = max(self._n_trials, len(status.trials))
        self._overall.update(self._task, completed=_n_ended(status), total=n_all)
        lines = [
            _failures(status),
            self._best.line(status),
            _left(self._folder, status, running, n_all),
            *_alike(self._folder),
        ]
        shown = [Text(visible_text(line)) for line in lines if line]
        taken = sum(-(-len(line) // width) for line in shown)
        return Group(*_newest(status.trials, height - taken, running), *shown, self._overall)


@contextmanager
def live_view(folder: StudyFolder, n_trials: int, console: Console) -> Iterator[Callable[[], None]]:
    """Yields the function to call at every poll; `n_trials` is how many trials the run ends with."""
    if console.is_terminal:
        screen = LiveScreen(folder, n_trials)
        with Live(console=console, refresh_per_second=4, transient=True) as live:
            yield throttled(lambda: live.update(screen.now(console.width, console.height)))
        status = study_status(folder)
        print_trials(console, status.trials)
        if failures := _failures(status):
            console.print(Text(failures), soft_wrap=True)
        return
    changes = _Changes(folder, *_plain(console, folder, n_trials, BestSoFar(folder)))
    changes.skip()
    try:
        yield throttled(changes.show)
    finally:
        _unharmed(changes.show)


def watch(folder: StudyFolder, console: Console, *, as_json: bool = False) -> None:
    """Show a study until nobody drives it any more: live on a terminal, else a line per change (JSON if asked for)."""
    n_trials = folder.config().budget.trials
    if console.is_terminal and not as_json:
        console.print(Text(study_status(folder).headline()), soft_wrap=True)
        with live_view(folder, n_trials, console) as on_change:
            while folder.driver() is not None:
                on_change()
                time.sleep(WATCH_SECONDS)
    else:
        best = BestSoFar(folder)
        if as_json:
            changes = _Changes(folder, lambda trial: console.print(Text(json.dumps(trial.to_json())), soft_wrap=True))
        else:
            changes = _Changes(folder, *_plain(console, folder, n_trials, best))
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


def more_about(folder: StudyFolder, trial: TrialStatus) -> str:
    """The command that shows more of a trial that failed; empty for any other."""
    return f"see more with: bo-shaping logs {folder.handle} {trial.record.index}" if trial.status == "failed" else ""


def _plain(
    console: Console, folder: StudyFolder, n_trials: int, best: BestSoFar
) -> tuple[Callable[[TrialStatus], None], Callable[[StudyStatus], None]]:
    """What prints a line for a trial that has changed, and one for how the study stands."""
    said: list[str] = []

    def show(trial: TrialStatus) -> None:
        if not said:
            said.extend(_alike(folder))
            for line in said:
                console.print(Text(visible_text(line)), soft_wrap=True)
        more = more_about(folder, trial)
        console.print(Text("; ".join([trial_line(trial), *([more] if more else [])])), soft_wrap=True)

    def stand(status: StudyStatus) -> None:
        n_all = max(n_trials, len(status.trials))
        left = _left(folder, status, _running(folder, status), n_all)
        facts = [f"{_n_ended(status)} of {n_all} trials have ended", left, best.line(status)]
        console.print(Text(visible_text("; ".join(fact for fact in facts if fact))), soft_wrap=True)

    return show, stand


def _n_ended(status: StudyStatus) -> int:
    return sum(status.count(ended) for ended in ENDED)


def _running(folder: StudyFolder, status: StudyStatus, clock: Callable[[], float] = time.time) -> dict[int, Running]:
    running = (trial for trial in status.trials if trial.status == "running")
    return {trial.record.index: running_of(folder, trial, clock) for trial in running}


def _left(folder: StudyFolder, status: StudyStatus, running: Mapping[int, Running], n_trials: int) -> str:
    config = folder.config()
    parallel = 1 if config.executor == "inline" else config.budget.parallel
    left = study_seconds_left(status, list(running.values()), n_trials, parallel)
    return "" if not left else f"about {describe_duration(left)} left"


def _alike(folder: StudyFolder) -> list[str]:
    """Components that pay as another does, as soon as the first trial has measured that."""
    similarity = folder.similarity_at_start(folder.config().search_space.components)
    return [f"Note: {warning}" for warning in similarity.warnings()] if similarity is not None else []


def _failures(status: StudyStatus) -> str:
    """How many have failed, and how to see more of the newest."""
    failed = [trial.record.index for trial in status.trials if trial.status == "failed"]
    if not failed:
        return ""
    return f"{len(failed)} failed; see more with: bo-shaping logs {status.handle} {failed[-1]}"


class _Changes:
    """Trials whose status is another than when they were last looked at.

    Args:
        folder: The study.
        show: Called with each of them.
        stand: Called after them if one has ended and the study goes on.
    """

    def __init__(
        self,
        folder: StudyFolder,
        show: Callable[[TrialStatus], None],
        stand: Callable[[StudyStatus], None] = lambda status: None,
    ) -> None:
        self._folder = folder
        self._show = show
        self._stand = stand
        self._seen: dict[int, str] = {}

    def skip(self) -> None:
        self._seen = {trial.record.index: trial.status for trial in study_status(self._folder).trials}

    def show(self) -> None:
        status, has_ended = study_status(self._folder), False
        for trial in status.trials:
            if self._seen.get(trial.record.index) != trial.status:
                self._seen[trial.record.index] = trial.status
                self._show(trial)
                has_ended = has_ended or trial.status in ENDED
        if has_ended and status.driver is not None:
            self._stand(status)


def _newest(trials: list[TrialStatus], height: int, running: Mapping[int, Running]) -> list[RenderableType]:
    """The last trials, as many as there is room for with a line for each remark."""
    remarks = sum(trial.status != "completed" for trial in trials)
    n = max(len(trials) - max(height - _FRAME_LINES - remarks, _FEWEST), 0)
    return [*([f"(and {n} earlier trials)"] if n else []), TrialsView(trials[n:], brief=True, running=running)]


def throttled(show: Callable[[], None]) -> Callable[[], None]:
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
