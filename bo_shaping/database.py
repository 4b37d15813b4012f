"""The Ax experiment of a study in an SQL database.

Ax keeps one database per process in a global variable, and a second URL would silently write into the first. So no
Ax client here knows a database: every save and load opens the study's own for just as long as it takes.
"""

import json
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ax.core.base_trial import BaseTrial
from ax.core.data import Data
from ax.core.experiment import Experiment
from ax.exceptions.storage import SQADecodeError
from ax.storage.json_store.encoder import object_to_json
from ax.storage.json_store.registry import CORE_CLASS_ENCODER_REGISTRY, CORE_ENCODER_REGISTRY
from ax.storage.sqa_store.db import create_all_tables, get_engine, session_context
from ax.storage.sqa_store.load import load_experiment
from ax.storage.sqa_store.save import save_experiment, save_or_update_trials
from sqlalchemy import inspect
from sqlalchemy.exc import ArgumentError, SAWarning, SQLAlchemyError

from bo_shaping.errors import StorageError
from bo_shaping.executors.folder import write_atomically

DECIMALS = 8
"""Digits of outcomes behind the point."""

BUSY_SECONDS = 30
"""How long SQLite waits for a reader before a save fails."""


class Database:
    """The database behind an SQLAlchemy URL."""

    def __init__(self, url: str, remedy: str) -> None:
        """`remedy` is the command that repairs the study, for error messages."""
        self.url = url
        self._remedy = remedy

    def create(self, experiment: Experiment) -> None:
        """Create the tables where they are missing, then save a new experiment."""
        with self._session():
            engine = get_engine()
            if engine.dialect.name == "sqlite":
                # Readers and the driver then do not wait for each other.
                with engine.connect() as connection:
                    connection.exec_driver_sql("PRAGMA journal_mode=WAL")
            # A missing table would cost Ax 15 seconds of retries.
            create_all_tables(engine)
            save_experiment(experiment)

    def save_trials(self, experiment: Experiment, trials: Sequence[BaseTrial]) -> None:
        """Save new or changed trials, with their data."""
        with self._session():
            save_or_update_trials(experiment=experiment, trials=list(trials))

    def load(self, name: str) -> Experiment:
        """The experiment of that name."""
        with self._session():
            if "experiment_v2" not in inspect(get_engine()).get_table_names():
                raise StorageError(f"{self._place} holds no experiment; {self._remedy}")
            experiment = load_experiment(name)
        experiment.data = _as_saved(experiment.data)
        return experiment

    @property
    def _place(self) -> str:
        # A URL may carry a password.
        return self.url if self.url.startswith("sqlite") else f"The {self.url.split(':', 1)[0]} database"

    @contextmanager
    def _session(self) -> Iterator[None]:
        options: dict[str, Any] = {}
        if self.url.startswith("sqlite"):
            options["connect_args"] = {"timeout": BUSY_SECONDS}
        try:
            with warnings.catch_warnings():
                # SQLAlchemy has an opinion on the cache keys of Ax's column types, which no user can act on.
                warnings.simplefilter("ignore", category=SAWarning)
                with session_context(url=self.url, **options):
                    yield
        except ArgumentError:
            raise StorageError("The configured storage is not an SQLAlchemy URL.") from None
        except ModuleNotFoundError as error:
            raise StorageError(f"The storage needs the Python package {error.name!r}; install it first.") from None
        except (SQLAlchemyError, SQADecodeError, ValueError) as error:
            cause = getattr(error, "orig", None) or error
            raise StorageError(
                f"{self._place} cannot be used ({' '.join(str(cause).split())}); {self._remedy}"
            ) from None


def storable(value: float) -> float:
    """The value that Ax's database, which keeps 10 decimals of it, gives back after a load."""
    return round(value, DECIMALS)


def _as_saved(data: Data) -> Data:
    # The last bit of a number may change on its way through pandas' JSON; a resumed study must see the same numbers.
    frame = data.full_df.copy()
    for column in ("mean", "sem"):
        frame[column] = frame[column].map(storable)
    return Data(df=frame)


def write_snapshot(experiment: Experiment, path: Path) -> None:
    """Write the experiment for `Client.load_from_json_file`, which then needs nothing of this package."""
    content = object_to_json(
        experiment, encoder_registry=CORE_ENCODER_REGISTRY, class_encoder_registry=CORE_CLASS_ENCODER_REGISTRY
    )
    # Without a strategy, which would name our acquisition class: plain Ax chooses its own when it is asked.
    write_atomically(path, json.dumps({"_type": "Client", "experiment": content, "generation_strategy": None}))
