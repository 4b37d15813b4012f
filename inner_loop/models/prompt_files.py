"""Prompts as people keep them: JSON Lines, CSV and Parquet files, datasets that were saved, and those of a hub."""

import csv
import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from inner_loop.errors import TaskError
from inner_loop.spec import TaskConfig

SEPARATORS = ",;\t"
"""What stands between the columns of a CSV file: a comma, or what spreadsheets of other languages write."""


class Row(NamedTuple):
    """One row of a file or dataset."""

    where: str
    """Names the row in a message."""
    columns: Mapping[str, Any]


def read_file(path: Path) -> list[Row]:
    """The rows of a `.jsonl`, `.csv` or `.parquet` file; those of the first two by their line.

    Raises:
        TaskError: If it cannot be read, or a line is not what such a file has.
    """
    try:
        return list(READERS[path.suffix.lower()](path))
    except KeyError:
        known = ", ".join(READERS)
        raise TaskError(
            f"task.prompts: {str(path)!r} is no file that can be read; its name must end in {known}."
        ) from None
    except UnicodeDecodeError as error:
        raise TaskError(
            f"task.prompts: {str(path)!r} cannot be read as UTF-8 text (byte {error.start}); save it as UTF-8."
        ) from error
    except OSError as error:
        raise TaskError(f"task.prompts: {str(path)!r} cannot be read: {error.strerror or error}.") from error


def read_dataset(config: TaskConfig) -> dict[str, Any]:
    """The splits of a dataset: one that `datasets` saved in a folder, or one of a hub.

    Raises:
        TaskError: If it cannot be found or read.
    """
    import datasets

    name, folder = config.prompts, Path(config.prompts).expanduser()
    try:
        if is_saved_dataset(folder):
            found = datasets.load_from_disk(str(folder))
        else:
            found = datasets.load_dataset(name, revision=config.prompts_revision)
    except Exception as error:  # the library, the hub and the network have many classes of them
        why = (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")
        raise TaskError(
            f"task.prompts {name!r}: it is no file or folder here, and no dataset could be loaded by that name: {why}. "
            "Give a folder, a .jsonl, .csv or .parquet file, or the name of a dataset."
        ) from error
    return dict(found) if isinstance(found, datasets.DatasetDict) else {"train": found}


def rows_of(dataset: Any, name: str) -> list[Row]:
    """The rows of a split."""
    return [Row(f"row {number} of {name}", row) for number, row in enumerate(dataset, start=1)]


def is_saved_dataset(folder: Path) -> bool:
    """Whether `datasets` has written the folder."""
    return (folder / "dataset_dict.json").is_file() or (folder / "dataset_info.json").is_file()


def _read_jsonl(path: Path) -> Iterator[Row]:
    # Windows begins a file with a byte-order mark.
    for number, line in enumerate(path.read_text("utf-8-sig").split("\n"), start=1):
        if not line.strip():
            continue
        where = f"{path}:{number}"
        try:
            columns = json.loads(line)
        except json.JSONDecodeError:
            columns = None
        if not isinstance(columns, dict):
            raise TaskError(f'task.prompts: {where} is not a JSON object like {{"prompt": "..."}}.')
        yield Row(where, columns)


def _read_csv(path: Path) -> Iterator[Row]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        header = file.readline()
        file.seek(0)
        reader = csv.DictReader(file, delimiter=max(SEPARATORS, key=header.count), strict=True)
        try:
            for columns in reader:
                if None in columns or None in columns.values():
                    raise TaskError(
                        f"task.prompts: {path}:{reader.line_num} has not as many columns as the first line, "
                        f"{', '.join(reader.fieldnames or [])}; put texts that hold a separator in quotes."
                    )
                yield Row(f"{path}:{reader.line_num}", columns)
        except csv.Error as error:
            raise TaskError(
                f"task.prompts: {path}:{reader.line_num} is not a line of a CSV file ({error}); save it as CSV again."
            ) from error


def _read_parquet(path: Path) -> Iterator[Row]:
    import pyarrow
    from pyarrow import parquet

    try:
        table = parquet.read_table(path)
    except pyarrow.ArrowInvalid as error:
        raise TaskError(f"task.prompts: {str(path)!r} is not a Parquet file.") from error
    yield from rows_of(table.to_pylist(), str(path))


READERS: dict[str, Callable[[Path], Iterator[Row]]] = {
    ".jsonl": _read_jsonl,
    ".csv": _read_csv,
    ".parquet": _read_parquet,
}
"""By the end of a file's name."""
