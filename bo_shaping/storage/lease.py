"""The lease on a study, a row in its own database: one driver at a time, on whatever machine.

The row carries a fence number that grows with every new holder. Each transaction of a driver begins by renewing the row
under its own number and is refused when that number is no longer there, so a driver that was stopped, swapped out or
cut off cannot write over the work of its successor.

Ages are measured by the database's clock. Since a clock may jump, an old lease is also watched for a while, by this
process's own monotonic clock: a holder that lives renews it meanwhile.
"""

import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass

from sqlalchemy import Column, Float, Integer, MetaData, String, Table, Text, inspect, text
from sqlalchemy.engine import Connection, Engine
from sqlalchemy.exc import IntegrityError, SQLAlchemyError

from bo_shaping.errors import FencedError, StudyLockedError
from bo_shaping.storage.lease_holder import Holder

RENEW_SECONDS = 5.0
STALE_SECONDS = 60.0
"""A lease that was not renewed for so long may be taken over."""
WATCH_SECONDS = 3 * RENEW_SECONDS
"""How long an old lease is watched before it is taken over."""

METADATA = MetaData()
_TABLE = Table(
    "bo_shaping_lease",
    METADATA,
    Column("study", String(100), primary_key=True),
    Column("home", Text, nullable=False),
    Column("holder", Text, nullable=False),
    Column("fence", Integer, nullable=False),
    Column("renewed", Float(53), nullable=False),
)
_CLOCKS = {
    "sqlite": "((julianday('now') - 2440587.5) * 86400.0)",
    "postgresql": "extract(epoch from clock_timestamp())",
}


@dataclass(frozen=True)
class _Row:
    holder: str
    fence: int
    renewed: float
    now: float


def studies_of(engine: Engine) -> list[str]:
    """Names of the studies that were ever driven in a database."""
    if not inspect(engine).has_table(_TABLE.name):
        return []
    with engine.begin() as connection:
        return [str(name) for (name,) in connection.execute(text("SELECT study FROM bo_shaping_lease"))]


class Lease:
    """The lease of one study in one database."""

    def __init__(
        self,
        engine: Engine,
        study: str,
        home: str,
        advice: str,
        errors: Callable[[], AbstractContextManager[None]] = contextlib.nullcontext,
    ) -> None:
        """The lease of `study`.

        Args:
            engine: Where the table is.
            study: Name of the study.
            home: Where it lives, in one line.
            advice: What a person who finds the study held can do.
            errors: Turns errors of the database into ours.
        """
        self._errors = errors
        self._engine = engine
        self._study = study
        self._home = home
        self._advice = advice
        self._clock = _CLOCKS[engine.dialect.name]
        self._me = Holder.me().to_json()
        self._fence: int | None = None

    def seen(self) -> tuple[Holder, float] | None:
        """Who holds the study, and how many seconds ago that was renewed; None if nobody does."""
        with self._errors():
            row = self._read() if self._is_there() else None
        holder = None if row is None else Holder.from_json(row.holder)
        return None if row is None or holder is None else (holder, row.now - row.renewed)

    def home(self) -> str | None:
        """Where the study lives that was last driven under this name, or None."""
        row = self._home_and_fence()
        return None if row is None else row[0]

    def fence(self) -> int:
        """The number of the last holder; 0 if there was none."""
        row = self._home_and_fence()
        return 0 if row is None else row[1]

    def _home_and_fence(self) -> tuple[str, int] | None:
        with self._errors():
            if not self._is_there():
                return None
            with self._engine.begin() as connection:
                statement = text("SELECT home, fence FROM bo_shaping_lease WHERE study = :study")
                row = connection.execute(statement, {"study": self._study}).first()
        return None if row is None else (str(row[0]), int(row[1]))

    @contextmanager
    def held(self, above: int, on_renewed: Callable[[], None] = lambda: None) -> Iterator[int]:
        """Hold the lease, renewing it in the background; yields the fence number, which is larger than `above`.

        Raises:
            StudyLockedError: If a living process holds it.
        """
        with self._errors():
            METADATA.create_all(self._engine)
            fence = self._take(above)
        self._fence = fence
        ended = threading.Event()
        renewer = threading.Thread(target=self._renew_until, args=(ended, on_renewed), daemon=True)
        renewer.start()
        try:
            yield fence
        finally:
            ended.set()
            renewer.join()
            self._fence = None
            # A database that is away now keeps a lease that names a process which is soon dead.
            with contextlib.suppress(SQLAlchemyError), self._engine.begin() as connection:
                connection.execute(
                    text("UPDATE bo_shaping_lease SET holder = '' WHERE study = :study AND fence = :fence"),
                    {"study": self._study, "fence": fence},
                )

    def renew(self, connection: Connection) -> None:
        """Renew the lease as a part of the connection's transaction.

        Raises:
            FencedError: If somebody else has taken it over.
        """
        renewed = connection.execute(
            text(f"UPDATE bo_shaping_lease SET renewed = {self._clock} WHERE study = :study AND fence = :fence"),  # noqa: S608
            {"study": self._study, "fence": self._fence},
        )
        if renewed.rowcount != 1:
            raise FencedError(
                "Another process has taken the study over while this one did not answer; nothing that this one did "
                "since then counts."
            )

    def _renew_until(self, ended: threading.Event, on_renewed: Callable[[], None]) -> None:
        while not ended.wait(RENEW_SECONDS):
            # A database that is away for a while is the driver's to report; a lease that was lost, too.
            with contextlib.suppress(SQLAlchemyError, FencedError), self._engine.begin() as connection:
                self.renew(connection)
                on_renewed()

    def _take(self, above: int) -> int:
        while True:
            row = self._read()
            if row is not None:
                self._refuse_living(row)
            fence = max(above, row.fence if row is not None else 0) + 1
            if self._swap(row, fence):
                return fence

    def _refuse_living(self, row: _Row) -> None:
        """Return if the lease is free, its holder dead, or nobody renews it."""
        holder = Holder.from_json(row.holder)
        if holder is None or holder.is_dead():
            return
        is_old = not 0 <= row.now - row.renewed <= STALE_SECONDS
        if is_old and self._stays_as_it_is(row):
            return
        raise StudyLockedError(f"Study {self._study!r} is being driven by {holder}; {self._advice}")

    def _stays_as_it_is(self, row: _Row) -> bool:
        deadline = time.monotonic() + WATCH_SECONDS
        while time.monotonic() < deadline:
            time.sleep(min(0.5, WATCH_SECONDS))
            latest = self._read()
            if latest is None or (latest.holder, latest.fence, latest.renewed) != (row.holder, row.fence, row.renewed):
                return False
        return True

    def _is_there(self) -> bool:
        """Whether the table is; who only looks does not create it."""
        return inspect(self._engine).has_table(_TABLE.name)

    def _read(self) -> _Row | None:
        statement = f"SELECT holder, fence, renewed, {self._clock} FROM bo_shaping_lease WHERE study = :study"  # noqa: S608
        with self._engine.begin() as connection:
            row = connection.execute(text(statement), {"study": self._study}).first()
        return None if row is None else _Row(str(row[0]), int(row[1]), float(row[2]), float(row[3]))

    def _swap(self, row: _Row | None, fence: int) -> bool:
        """Put this process in the place of the holder just seen; False if somebody was quicker."""
        values = {"study": self._study, "home": self._home, "holder": self._me, "fence": fence}
        if row is None:
            statement = f"INSERT INTO bo_shaping_lease VALUES (:study, :home, :holder, :fence, {self._clock})"  # noqa: S608
        else:
            statement = (
                f"UPDATE bo_shaping_lease SET home = :home, holder = :holder, fence = :fence, renewed = {self._clock} "  # noqa: S608
                "WHERE study = :study AND fence = :old_fence AND holder = :old_holder"
            )
            values |= {"old_fence": row.fence, "old_holder": row.holder}
        try:
            with self._engine.begin() as connection:
                return int(connection.execute(text(statement), values).rowcount) == 1
        except IntegrityError:
            return False
