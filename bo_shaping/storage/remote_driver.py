"""Who drives a study of a shared database from another machine, of whose locks this one knows nothing."""

import contextlib
from typing import TYPE_CHECKING

from bo_shaping.config import StudyConfig
from bo_shaping.errors import StorageError

if TYPE_CHECKING:
    from bo_shaping.storage.lease import Lease

PATIENCE_SECONDS = 3
"""How long a server is waited for: a look at a study must not hang on it."""


def remote_driver(config: StudyConfig) -> str | None:
    """`process 123 on host, seen 4 s ago`, or None if nobody is known to drive it from elsewhere.

    A database that does not answer knows nothing.
    """
    if config.storage is None or config.storage.startswith("sqlite"):
        return None
    from sqlalchemy.engine import make_url

    from bo_shaping.storage.database import Database

    with contextlib.suppress(StorageError):
        url = make_url(config.storage).update_query_dict({"connect_timeout": str(PATIENCE_SECONDS)})
        database = Database(url.render_as_string(hide_password=False), "")
        try:
            return driver_of(database.lease(config.name, "", ""))
        finally:
            database.close()
    return None


def driver_of(lease: "Lease") -> str | None:
    """Who holds a lease and has renewed it lately, in words."""
    from bo_shaping.storage.lease import STALE_SECONDS

    seen = lease.seen()
    if seen is None or seen[0].is_dead() or seen[1] > STALE_SECONDS:
        return None
    holder, age = seen
    return f"{holder}, seen {max(age, 0.0):.0f} s ago"
