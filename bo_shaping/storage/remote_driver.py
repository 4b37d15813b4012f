"""Who drives a study of a shared database from another machine, of whose locks this one knows nothing."""

import contextlib

from bo_shaping.config import StudyConfig
from bo_shaping.errors import StorageError

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
    from bo_shaping.storage.lease import STALE_SECONDS

    with contextlib.suppress(StorageError):
        url = make_url(config.storage).update_query_dict({"connect_timeout": str(PATIENCE_SECONDS)})
        database = Database(url.render_as_string(hide_password=False), "")
        try:
            seen = database.lease(config.name, "", "").seen()
        finally:
            database.close()
        if seen is not None:
            holder, age = seen
            if not holder.is_dead() and age <= STALE_SECONDS:
                return f"{holder}, seen {max(age, 0.0):.0f} s ago"
    return None
