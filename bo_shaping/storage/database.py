"""The Ax experiment of a study in an SQL database: an SQLite file, or PostgreSQL.

Ax keeps one database per process in a global variable, and a second URL would silently write into the first. So no
Ax client here knows a database: every save and load puts the study's own there for just as long as it takes.
"""

import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from ax.core.base_trial import BaseTrial
from ax.core.data import Data
from ax.core.experiment import Experiment
from ax.exceptions.core import AxParameterWarning
from ax.exceptions.storage import SQADecodeError
from ax.storage.sqa_store import db
from ax.storage.sqa_store.delete import delete_experiment
from ax.storage.sqa_store.load import load_experiment
from ax.storage.sqa_store.save import save_experiment, save_or_update_trials
from ax.storage.sqa_store.sqa_classes import SQAExperiment
from sqlalchemy import create_engine, event, inspect
from sqlalchemy.engine import Connection, Engine, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError, OperationalError, SAWarning, SQLAlchemyError
from sqlalchemy.orm import scoped_session, sessionmaker

from bo_shaping.errors import BoShapingError, ConnectionLostError, StorageError
from bo_shaping.libraries.ax_internals import order_trials
from bo_shaping.storage.lease import METADATA, Lease, studies_of
from bo_shaping.surrogate.outcomes import DECIMALS
from bo_shaping.text.reasons import reason_of

BUSY_SECONDS = 30
"""How long SQLite waits for another writer before a save fails."""

_DISK_WORDS = ("full", "readonly", "disk I/O")
"""In what SQLite says when a disk, not the database, is the trouble."""

DIALECTS = ("sqlite", "postgresql")


class Database:
    """The database behind an SQLAlchemy URL."""

    def __init__(self, url: str, remedy: str) -> None:
        """`remedy` is what repairs the study, for error messages."""
        self.url = url
        self._remedy = remedy
        self._made: Engine | None = None
        self._lease: Lease | None = None
        self._is_saving = False

    def lease(self, study: str, home: str, advice: str) -> Lease:
        """The lease on a study of this database; from now on every save renews it first."""
        with self._errors():
            self._lease = Lease(self._engine(), study, home, advice, self._errors)
        return self._lease

    def prepare(self) -> None:
        """Create the tables where they are missing."""
        with self._errors():
            engine = self._engine()
            if engine.dialect.name == "sqlite":
                # Readers and the driver then do not wait for each other.
                with engine.connect() as connection:
                    connection.exec_driver_sql("PRAGMA journal_mode=WAL")
            else:
                _relax_widths()
            # A missing table would cost Ax 15 seconds of retries.
            db.create_all_tables(engine)
            METADATA.create_all(engine)

    def create(self, experiment: Experiment) -> None:
        """Save a new experiment, in place of one of that name."""
        with self._saving():
            with db.session_scope() as session:
                is_there = session.query(SQAExperiment.id).filter_by(name=experiment.name).first() is not None
            if is_there:
                delete_experiment(experiment.name)
            save_experiment(experiment)

    def holds(self, name: str) -> bool:
        """Whether there is an experiment of that name."""
        with self._sessions(), db.session_scope() as session:
            return session.query(SQAExperiment.id).filter_by(name=name).first() is not None

    def save_trials(self, experiment: Experiment, trials: Sequence[BaseTrial]) -> None:
        """Save new or changed trials, with their data.

        Raises:
            FencedError: If another driver has taken the study over.
            ConnectionLostError: If the server went away; then load the experiment again before saving.
        """
        with self._saving():
            save_or_update_trials(experiment=experiment, trials=list(trials))

    def load(self, name: str) -> Experiment:
        """The experiment of that name, its trials in the order of their indices."""
        with self._sessions():
            if "experiment_v2" not in inspect(self._engine()).get_table_names():
                raise StorageError(f"{self._place} holds no experiment; {self._remedy}")
            try:
                with warnings.catch_warnings():
                    # Ax does not keep whether a choice is sorted, and says what it takes: the order of words as it is.
                    warnings.simplefilter("ignore", category=AxParameterWarning)
                    experiment = load_experiment(name)
            except (KeyError, TypeError, AttributeError):
                # By other names than this Ax has for things.
                raise StorageError(
                    f"{self._place} was damaged, or written by another version of Ax; {self._remedy}"
                ) from None
        order_trials(experiment)
        experiment.data = _as_saved(experiment.data)
        return experiment

    def studies(self) -> list[str]:
        """Names of the studies that were ever driven here."""
        with self._errors():
            return studies_of(self._engine())

    def close(self) -> None:
        """Give connections back."""
        if self._made is not None:
            self._made.dispose()

    @property
    def _place(self) -> str:
        # A URL may carry a password.
        return self.url if self.url.startswith("sqlite") else f"The {self.url.split(':', 1)[0]} database"

    def _engine(self) -> Engine:
        if self._made is None:
            url = make_url(self.url)
            dialect = url.get_backend_name()
            if dialect not in DIALECTS:
                raise StorageError(f"storage: {dialect} cannot hold a study; write a URL of {' or '.join(DIALECTS)}.")
            options: dict[str, Any] = {"pool_pre_ping": True}
            if dialect == "sqlite":
                options["connect_args"] = {"timeout": BUSY_SECONDS}
            self._made = create_engine(url, **options)
            event.listen(self._made, "begin", self._renew_first)
        return self._made

    def _renew_first(self, connection: Connection) -> None:
        if self._is_saving and self._lease is not None:
            self._lease.renew(connection)

    @contextmanager
    def _saving(self) -> Iterator[None]:
        self._is_saving = True
        try:
            with self._sessions():
                yield
        finally:
            self._is_saving = False

    @contextmanager
    def _sessions(self) -> Iterator[None]:
        """Ax's sessions are this database's inside."""
        with self._errors(), warnings.catch_warnings():
            # SQLAlchemy has an opinion on the cache keys of Ax's column types, which no user can act on.
            warnings.simplefilter("ignore", category=SAWarning)
            factory = scoped_session(sessionmaker(bind=self._engine(), expire_on_commit=db.EXPIRE_ON_COMMIT))
            others, db.SESSION_FACTORY = db.SESSION_FACTORY, factory
            try:
                yield
            finally:
                db.SESSION_FACTORY = others
                factory.remove()

    @contextmanager
    def _errors(self) -> Iterator[None]:
        """Whatever goes wrong inside becomes one sentence with a remedy."""
        try:
            yield
        except BoShapingError:
            raise
        except (ArgumentError, NoSuchModuleError):
            raise StorageError(
                "storage: this is not the URL of a database; write sqlite:///FILE.db or "
                "postgresql://USER:PASSWORD@HOST/DATABASE, or leave it out for a file in the study's folder."
            ) from None
        except ModuleNotFoundError as error:
            raise StorageError(
                f"The storage needs the Python package {error.name!r}; install it first, for PostgreSQL with: "
                "pip install 'bo-shaping[postgres]'"
            ) from None
        except (SQLAlchemyError, SQADecodeError, ValueError) as error:
            cause = reason_of(error)
            if isinstance(error, OperationalError) and "locked" in cause:
                raise StorageError(
                    f"{self._place} is locked by another program; nothing is lost: close that program, then resume "
                    "the study"
                ) from None
            if isinstance(error, OperationalError) and any(word in cause for word in _DISK_WORDS):
                raise StorageError(
                    f"{self._place} cannot be written ({cause}); nothing is lost: see to the disk, then resume "
                    "the study"
                ) from None
            if not self.url.startswith("sqlite") and _is_lost(error):
                raise ConnectionLostError(
                    f"{self._place} cannot be reached ({cause}); nothing is lost: see to the server, then resume the "
                    "study"
                ) from None
            raise StorageError(f"{self._place} cannot be used ({cause}); {self._remedy}") from None


def _is_lost(error: Exception) -> bool:
    return isinstance(error, DBAPIError) and (error.connection_invalidated or isinstance(error, OperationalError))


def _relax_widths() -> None:
    """Ax declares `TEXT(4294967295)`, which PostgreSQL refuses, and columns too short for what it puts into them."""
    for table in db.Base.metadata.tables.values():
        for column in table.columns:
            inner = getattr(column.type, "impl", column.type)
            for kind in (column.type, inner):
                if getattr(kind, "length", None) is not None:
                    kind.length = None


def _as_saved(data: Data) -> Data:
    # The last bit of a number may change on its way through pandas' JSON; a resumed study must see the same numbers.
    frame = data.full_df.copy()
    for column in ("mean", "sem"):
        frame[column] = frame[column].map(_storable)
    # Sums depend on the order of numbers, which `recovery` keeps too; a final value, without a step, is last.
    columns = [name for name in ("trial_index", "metric_name", "step") if name in frame.columns]
    return Data(df=frame.sort_values(columns, kind="stable", ignore_index=True))


def _storable(value: float) -> float:
    return round(value, DECIMALS)
