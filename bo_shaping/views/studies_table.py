"""All studies of a folder at a glance, from their files alone; or those of a database, wherever their folders are."""

import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rich.console import Console, ConsoleOptions, RenderResult
from rich.table import Table
from rich.text import Text

from bo_shaping.errors import BoShapingError
from bo_shaping.storage.recommendation_file import read_recommendation
from bo_shaping.storage.study_folder import StudyFolder
from bo_shaping.text.hidden_characters import visible_text
from bo_shaping.text.wording import describe_probability, describe_weights
from bo_shaping.views.status import study_status
from bo_shaping.views.whole_lines import whole_lines

_AGES = ((86_400, "d"), (3_600, "h"), (60, "min"), (1, "s"))


@dataclass(frozen=True)
class StudyLine:
    """One study."""

    name: str
    state: str
    """`running`, `interrupted`, `finished`, `unfinished`, or `damaged` with what is wrong."""
    trials: int
    budget: int | None
    """None where only the database of the study is at hand."""
    best: str
    """The recommended mixture, if one is stored that rests on all trials."""
    mean: float | None
    mean_interval: tuple[float, float] | None
    prob_better_than_sparse: float | None
    changed: float | None
    """When, in seconds since the epoch."""
    driver: str | None
    note: str
    """The newest one."""

    def to_json(self) -> dict[str, Any]:
        """Plain data."""
        return asdict(self)


def study_lines(root: Path) -> list[StudyLine]:
    """The studies in a folder, the one that changed last first. A damaged one does not hide the others."""
    lines = [study_line(StudyFolder(file.parent.resolve())) for file in root.glob("*/config.yaml")]
    return sorted(lines, key=lambda line: (-(line.changed or 0.0), line.name))


def lines_of_database(url: str) -> list[StudyLine]:
    """The studies in a database; of those whose folders are elsewhere, what the database knows.

    Raises:
        StorageError: If it cannot be asked.
    """
    from bo_shaping.storage.database import Database
    from bo_shaping.storage.home import Home
    from bo_shaping.storage.remote_driver import driver_of

    database, lines = Database(url, "see to the database"), []
    try:
        for name in database.studies():
            lease = database.lease(name, "", "")
            home = Home.from_text(lease.home() or "")
            folder = StudyFolder(Path(home.path))
            if home.is_here and folder.config_file.is_file():
                lines.append(study_line(folder))
            elif database.holds(name):
                driver, n_trials = driver_of(lease), len(database.load(name).trials)
                state = "running" if driver is not None else "elsewhere"
                lines.append(
                    StudyLine(name, state, n_trials, None, "", None, None, None, None, driver, f"it lives in {home}")
                )
    finally:
        database.close()
    return sorted(lines, key=lambda line: (-(line.changed or 0.0), line.name))


def study_line(folder: StudyFolder) -> StudyLine:
    """How one study stands; a damaged one says what is wrong."""
    notes, journal = folder.notes(), folder.journal.path
    note, changed = notes[-1] if notes else "", journal.stat().st_mtime if journal.exists() else None
    try:
        status, stored = study_status(folder), read_recommendation(folder)
    except BoShapingError as error:
        state = f"damaged: {' '.join(str(error).split())}"
        return StudyLine(folder.path.name, state, 0, 0, "", None, None, None, changed, None, note)
    if status.driver is not None:
        state = "running"
    elif status.count("interrupted") or status.count("running"):
        state = "interrupted"
    else:
        state = "finished" if len(status.trials) >= status.budget else "unfinished"
    best = stored[0] if stored is not None else None
    return StudyLine(
        name=folder.path.name,
        state=state,
        trials=len(status.trials),
        budget=status.budget,
        best=describe_weights(best.weights) if best else "",
        mean=best.mean if best else None,
        mean_interval=best.mean_interval if best else None,
        prob_better_than_sparse=best.prob_better_than_sparse if best else None,
        changed=changed,
        driver=status.driver,
        note=note,
    )


def print_studies(console: Console, lines: list[StudyLine]) -> None:
    """One row per study."""
    table = Table(box=None, header_style="bold", pad_edge=False)
    for name in ("study", "state", "trials", "best", "expected", "P(better than sparse)", "changed"):
        table.add_column(name, justify="right" if name == "trials" else "left")
    for line in lines:
        low, high = line.mean_interval or (0.0, 0.0)
        probability = line.prob_better_than_sparse
        table.add_row(
            Text(line.name),
            Text(visible_text(line.state)),
            str(line.trials) if line.budget is None else f"{line.trials}/{line.budget}",
            Text(line.best),
            "" if line.mean is None else f"{line.mean:.2f} ({low:.2f} to {high:.2f})",
            "" if probability is None else describe_probability(probability),
            "" if line.changed is None else f"{_age(time.time() - line.changed)} ago",
        )
    console.print(_Whole(table), crop=False)
    for line in lines:
        if line.driver is not None:
            console.print(Text(f"{line.name} is driven by {visible_text(line.driver)}"), soft_wrap=True)
        if line.note:
            console.print(Text(f"{line.name}: {visible_text(line.note)}"), soft_wrap=True)


@dataclass(frozen=True)
class _Whole:
    """A table of `whole_lines`."""

    table: Table

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        yield from console.render(self.table, whole_lines(console, options))


def _age(seconds: float) -> str:
    length, unit = next((each for each in _AGES if seconds >= each[0]), _AGES[-1])
    return f"{max(int(seconds / length), 0)} {unit}"
