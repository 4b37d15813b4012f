"""The trials of a study as a table that fits the terminal, and in full width anywhere else."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from rich.console import Console, ConsoleOptions, RenderResult
from rich.measure import Measurement
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from bo_shaping.config.searched_parameter import Value
from bo_shaping.config.sections import FINAL_REWARD
from bo_shaping.storage.records import TrialRecord
from bo_shaping.text.hidden_characters import visible_text
from bo_shaping.text.wording import describe_attempts, describe_value
from bo_shaping.views.running import Running
from bo_shaping.views.status import TrialStatus
from bo_shaping.views.whole_lines import UNBOUNDED, whole_lines

_STYLES = {
    "completed": "green",
    "stopped": "green dim",
    "failed": "red",
    "running": "cyan",
    "interrupted": "yellow",
    "asked": "cyan",
}
_BAR_WIDTH, _ARM_WIDTH = 16, 16
_WIDTH_WITH_BARS = 100


@dataclass(frozen=True)
class TrialsView:
    """One row per trial, and below them what is more than a number: progress, and why a trial failed or was stopped.

    Reasons quote models and files: nothing in them is markup, and no character of theirs reaches the terminal that
    could do more than be read.
    """

    trials: Sequence[TrialStatus]
    details: bool = False
    """Whether to show where the arm came from, which seeds it ran, and how long that took."""
    brief: bool = False
    """Whether a trial has one line: where the arm lacks room, its parameters are left out; a long remark is cut."""
    running: Mapping[int, Running] = field(default_factory=dict)
    """By trial that runs: its curve and what is left of it, where that was read."""

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """A column per weight and parameter where they fit, else one for the arm."""
        options = whole_lines(console, options)
        forms = [(self.details, False), (self.details, True), (False, True)]
        tables = [self._table(details, one_column) for details, one_column in forms]
        fitting = (table for table in tables if _least_width(table, console, options) <= options.max_width)
        yield from console.render(next(fitting, tables[-1]), options)
        running = Table.grid(padding=(0, 1))
        for trial in self.trials:
            if trial.status == "running":
                bar = ProgressBar(total=1.0, completed=trial.done, width=_BAR_WIDTH)
                running.add_row(
                    _who(trial),
                    *([bar] if console.is_terminal and options.max_width >= _WIDTH_WITH_BARS else []),
                    Text("; ".join([_remark(trial), *_more(trial, self.running)])),
                )
            elif remark := _remark(trial):
                line = Text.assemble(_who(trial), " ", remark)
                line.no_wrap, line.overflow = self.brief, "ellipsis" if self.brief else None
                yield from console.render(line, options)
        if running.row_count:
            yield from console.render(running, options)

    def _table(self, details: bool, one_column: bool) -> Table:
        table = Table(box=None, header_style="bold", pad_edge=False)
        has_final = any(trial.record.final is not None for trial in self.trials)
        arm = [name for trial in self.trials[:1] for name in (*trial.record.weights, *trial.record.parameters)]
        table.add_column("trial", justify="right", no_wrap=True)
        table.add_column("status", no_wrap=True)
        if details:
            table.add_column("origin", no_wrap=True)
            table.add_column("seeds", justify="right", no_wrap=True)
        if one_column:
            table.add_column("arm", min_width=_ARM_WIDTH, no_wrap=self.brief, overflow="ellipsis")
        else:
            for name in arm:
                table.add_column(name, justify="right", no_wrap=True)
        for name in ("reward", *(["final"] if has_final else []), "KL", *(["seconds"] if details else [])):
            table.add_column(name, justify="right", no_wrap=True)
        for trial in self.trials:
            record = trial.record
            table.add_row(
                str(record.index),
                Text(trial.status, _STYLES[trial.status]),
                *([record.origin, " ".join(map(str, record.seeds))] if details else []),
                *([_short_arm(record, self.brief)] if one_column else _arm_cells(record)),
                reward_text(record),
                *(["" if record.final is None else f"{record.final:.3f}"] if has_final else []),
                "" if record.kl is None else f"{round(record.kl, 1) + 0.0:.1f}",
                *(["" if record.seconds is None else f"{record.seconds:.0f}"] if details else []),
            )
        return table


def print_trials(console: Console, trials: Sequence[TrialStatus], *, details: bool = False) -> None:
    """Print the table of trials; nothing is cut off."""
    console.print(TrialsView(trials, details), crop=False)


def arm_text(weights: Mapping[str, float], parameters: Mapping[str, Value]) -> str:
    """An arm in one line: 'shap 0.50 lime 0.25 sparse 0.25, gae_lambda 0.95'."""
    mixture = " ".join(f"{name} {weight:.2f}" for name, weight in weights.items())
    return ", ".join([mixture, *(f"{name} {describe_value(value)}" for name, value in parameters.items())])


def reward_text(record: TrialRecord) -> str:
    """The reward with its standard error, where they are known."""
    if record.mean is None:
        return ""
    return f"{record.mean:.3f}" + ("" if record.sem is None else f" ± {record.sem:.3f}")


def print_what_reward_is(console: Console, reward: str) -> None:
    """Say what the column means, of a study that maximises anything but the final reward.

    Args:
        console: Where to print.
        reward: `StudyStatus.reward`.
    """
    if reward != FINAL_REWARD:
        console.print(Text(f"reward: {reward}; final: at the end of the training"), soft_wrap=True)


def trial_line(trial: TrialStatus) -> str:
    """A trial in one plain line, where there is no table."""
    record = trial.record
    text = f"trial {record.index} {trial.status}: {arm_text(record.weights, record.parameters)}"
    if record.mean is not None:
        text += f"; reward {reward_text(record)}"
        text += "" if record.kl is None else f", KL {record.kl:.2f}"
        text += "" if record.seconds is None else f", {record.seconds:.0f} s"
    if record.reason:
        text += f"; {visible_text(record.reason)}"
    return text + "".join(f"; {line}" for line in map(visible_text, describe_attempts(record.earlier)))


def _remark(trial: TrialStatus) -> str:
    record, progress = trial.record, trial.progress
    if trial.status == "running":
        attempt = f"attempt {record.attempt}, " if record.attempt > 1 else ""
        score = "" if progress is None or progress.score is None else f", score {progress.score:.2f}"
        at = "starting" if progress is None else f"step {progress.step}/{progress.n_steps}{score}"
        return "; ".join([f"{attempt}{at}", *map(visible_text, describe_attempts(record.earlier))])
    at = f"at step {record.step}" if trial.status == "stopped" and record.step is not None else ""
    remark = ": ".join(part for part in (at, visible_text(record.reason or "")) if part)
    return "; ".join(part for part in (remark, *map(visible_text, describe_attempts(record.earlier))) if part)


def _more(trial: TrialStatus, running: Mapping[int, Running]) -> list[str]:
    known = running.get(trial.record.index)
    return known.words() if known is not None else []


def _who(trial: TrialStatus) -> Text:
    return Text.assemble(f"trial {trial.record.index} ", (trial.status, _STYLES[trial.status]), ":")


def _arm_cells(record: TrialRecord) -> list[str]:
    return [f"{weight:.2f}" for weight in record.weights.values()] + [*map(describe_value, record.parameters.values())]


def _short_arm(record: TrialRecord, brief: bool) -> str:
    weights = {name: weight for name, weight in record.weights.items() if weight >= 0.005}
    return arm_text(weights, {} if brief else record.parameters)


def _least_width(table: Table, console: Console, options: ConsoleOptions) -> int:
    return Measurement.get(console, options.update(max_width=UNBOUNDED), table).minimum
