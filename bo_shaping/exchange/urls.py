"""URLs of databases, which are looked for before anything opens them: SQLite would make what is not there."""

from pathlib import Path

from bo_shaping.errors import ExperimentFileError
from bo_shaping.text.passwords import without_password


def refuse_missing_file(url: str) -> None:
    """Raise `ExperimentFileError` if it is no URL, or one of an SQLite file that does not exist."""
    from sqlalchemy.engine import make_url
    from sqlalchemy.exc import SQLAlchemyError

    try:
        place = make_url(url)
        is_sqlite = place.get_backend_name() == "sqlite"
    except SQLAlchemyError:
        raise ExperimentFileError(f"{without_password(url)} is no URL of a database.") from None
    if is_sqlite and not Path(place.database or "").is_file():
        raise ExperimentFileError(f"There is no database file {place.database}.")
