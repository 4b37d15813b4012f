"""What `--from SOURCE` may be: a file, a database, a study."""

from pathlib import Path
from typing import Any

from bo_shaping.config import StudyConfig
from bo_shaping.config.changes import written
from bo_shaping.errors import ExperimentFileError, StudyNotFoundError
from bo_shaping.exchange.ax_database import from_ax_database
from bo_shaping.exchange.ax_json import from_ax_json, is_ax_json
from bo_shaping.exchange.foreign import ForeignExperiment
from bo_shaping.exchange.old_study import from_study
from bo_shaping.exchange.optuna_study import from_optuna
from bo_shaping.exchange.tables import from_csv, from_rows
from bo_shaping.storage.portable import MAX_BYTES, has_more_trials, portable_of, read_json
from bo_shaping.storage.study_folder import find_study

OPTUNA = "optuna+"
"""What the URL of an Optuna storage begins with, since Ax keeps experiments in the same databases."""


def read_source(source: str, config: StudyConfig) -> ForeignExperiment:
    """The trials of a source, by the names that they have there. Nothing is written to it, and nothing of it executed.

    Args:
        source: `experiment.json` (of Ax's Client or AxClient, of a study of ours, or a table), `trials.csv`,
            `sqlite:///runs.db#NAME` or another SQLAlchemy URL with the name of an Ax experiment, the same after
            `optuna+` with the name of an Optuna study, or a study by name or folder.
        config: The study that they are for.

    Raises:
        ExperimentFileError: If it is none of these, or cannot be read.
    """
    if "://" in source:
        url, _, name = source.partition("#")
        if not name:
            raise ExperimentFileError(f"Say which experiment of the database is meant: {source}#NAME.")
        if url.startswith(OPTUNA):
            return from_optuna(url.removeprefix(OPTUNA), name)
        return from_ax_database(url, name)
    path = Path(source)
    if path.is_file():
        return _from_file(path, config)
    try:
        folder = find_study(source)
    except StudyNotFoundError as error:
        raise ExperimentFileError(f"There is no file {source}, and no such study. {error}") from None
    return from_study(written(folder.config()), folder.records(), config, f"study {folder.path.name}")


def _from_file(path: Path, config: StudyConfig) -> ForeignExperiment:
    if path.suffix.lower() == ".csv":
        return from_csv(_text(path), str(path))
    content = read_json(path)
    study = portable_of(content, path)
    if study is not None and not has_more_trials(content, study):
        records = [entry.record for entry in study.entries]
        return from_study(study.config, records, config, str(path))
    if is_ax_json(content):
        return from_ax_json(content["experiment"], str(path))
    rows: Any = content.get("trials") if isinstance(content, dict) else content
    if isinstance(rows, list) and rows and all(isinstance(row, dict) for row in rows):
        return from_rows(rows, str(path))
    raise ExperimentFileError(
        f"{path} holds no trials: it is neither an experiment that Ax has saved, nor a table with one object per trial."
    )


def _text(path: Path) -> str:
    try:
        with path.open("rb") as stream:
            content = stream.read(MAX_BYTES + 1)
        if len(content) > MAX_BYTES:
            raise ExperimentFileError(f"{path} has more than {MAX_BYTES / 2**20:.0f} MB, which no table of trials has.")
        return content.decode("utf-8")
    except OSError as error:
        raise ExperimentFileError(f"{path} cannot be read: {error.strerror}.") from None
    except UnicodeDecodeError:
        raise ExperimentFileError(f"{path} is not UTF-8 text; save it as CSV UTF-8.") from None
