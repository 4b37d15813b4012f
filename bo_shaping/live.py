"""What a person sees while a study runs: a live table on a terminal, plain lines anywhere else."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.progress_bar import ProgressBar
from rich.table import Table

from bo_shaping.status import StudyStatus, TrialStatus, study_status
from bo_shaping.store import StudyFolder, TrialRecord

_STYLES = {
    "completed": "green",
    "stopped": "magenta",
    "asked": "blue",
    "failed": "red",
    "running": "cyan",
    "interrupted": "yellow",
}


def arm_text(weights: dict[str, float], parameters: dict[str, float]) -> str:
    """An arm in one line: 'shap 0.50 lime 0.25 sparse 0.25, gae_lambda 0.95'."""
    mixture = " ".join(f"{name} {weight:.2f}" for name, weight in weights.items())
    return ", ".join([mixture, *(f"{name} {value:.3g}" for name, value in parameters.items())])


def trials_table(status: StudyStatus) -> Table:
    """The trials of a study, one row each."""
    table = Table(box=None, header_style="bold", pad_edge=False)
    arm = list((status.trials[0].record.weights | status.trials[0].record.parameters) if status.trials else ())
    table.add_column("trial", justify="right")
    table.add_column("status")
    for heading in (*arm, "reward", "KL"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("")
    for trial in status.trials:
        record = trial.record
        values = record.weights | record.parameters
        table.add_row(
            str(record.index),
            f"[{_STYLES[trial.status]}]{trial.status}[/]",
            *(f"{values[name]:.3g}" for name in arm),
            _reward(record),
            "" if record.kl is None else f"{round(record.kl, 1) + 0.0:.1f}",
            _remark(trial),
        )
    return table


@contextmanager
def live_view(folder: StudyFolder, n_trials: int, console: Console) -> Iterator[Callable[[], None]]:
    """Yields the function to call at every poll; `n_trials` is how many trials the run ends with."""
    if console.is_terminal:
        with Live(console=console, refresh_per_second=4, transient=True) as live:
            overall = _overall_progress(n_trials)
            yield lambda: live.update(_render(study_status(folder), overall))
        console.print(trials_table(study_status(folder)))
        return
    seen: dict[int, str] = {trial.record.index: trial.status for trial in study_status(folder).trials}

    def print_changes() -> None:
        for trial in study_status(folder).trials:
            if seen.get(trial.record.index) != trial.status:
                seen[trial.record.index] = trial.status
                console.print(_line(trial), soft_wrap=True)

    yield print_changes


def _render(status: StudyStatus, overall: Progress) -> RenderableType:
    done = status.count("completed") + status.count("failed")
    overall.update(overall.task_ids[0], completed=done)
    return Group(trials_table(status), overall)


def _overall_progress(n_trials: int) -> Progress:
    progress = Progress(TextColumn("trials"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    progress.add_task("trials", total=n_trials)
    return progress


def _reward(record: TrialRecord) -> str:
    return "" if record.mean is None else f"{record.mean:.3f} ± {record.sem:.3f}"


def _remark(trial: TrialStatus) -> RenderableType:
    if trial.status == "failed":
        # Reasons quote models and files: nothing in them is markup.
        return escape(trial.record.reason or "")
    if trial.status != "running":
        return ""
    if trial.progress is None:
        return "starting"
    row = Table.grid(padding=(0, 1))
    progress = trial.progress
    score = "" if progress.score is None else f"score {progress.score:.2f}"
    row.add_row(
        ProgressBar(total=1.0, completed=trial.done, width=16), f"step {progress.step}/{progress.n_steps}", score
    )
    return row


def _line(trial: TrialStatus) -> str:
    record = trial.record
    text = f"trial {record.index} {trial.status}: {arm_text(record.weights, record.parameters)}"
    if record.mean is not None:
        text += f"; reward {_reward(record)}, KL {record.kl:.2f}, {record.seconds:.0f} s"
    if record.reason:
        text += f"; {escape(record.reason)}"
    return text
