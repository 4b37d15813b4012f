"""Databases of others, which are looked into before Ax or Optuna opens them: either would make what is not there."""

from pathlib import Path

from bo_shaping.errors import ExperimentFileError
from bo_shaping.text.passwords import without_password
from bo_shaping.text.reasons import reason_of
from inner_loop.io.schema import nearest


def refuse_missing(url: str, name: str, *, table: str, column: str, kind: str) -> None:
    """Raise `ExperimentFileError` unless the database at an SQLAlchemy URL holds an experiment of that name.

    Args:
        url: Where it is.
        name: Name of the experiment.
        table: The table of experiments.
        column: The column of their names in it.
        kind: Whose database it should be.
    """
    from sqlalchemy import column as named
    from sqlalchemy import create_engine, inspect, select
    from sqlalchemy import table as of_name
    from sqlalchemy.exc import SQLAlchemyError

    shown = without_password(url)
    _refuse_missing_file(url)
    try:
        engine = create_engine(url)
        try:
            with engine.connect() as connection:
                if table not in inspect(connection).get_table_names():
                    raise ExperimentFileError(f"{shown} is no database of {kind}.")
                rows = connection.execute(select(named(column)).select_from(of_name(table)).order_by(named(column)))
                known = [str(row[0]) for row in rows]
        finally:
            engine.dispose()
    except ModuleNotFoundError as error:
        raise ExperimentFileError(f"{shown} needs the Python package {error.name!r}; install it first.") from None
    except SQLAlchemyError as error:
        raise ExperimentFileError(
            f"{shown} is no database of {kind}, or cannot be reached: {reason_of(error)}."
        ) from None
    if name not in known:
        there = f"did you mean {nearest(name, known)!r}? There are {', '.join(known)}" if known else "there is none"
        raise ExperimentFileError(f"There is no experiment {name!r} in {shown}, {there}.")


def _refuse_missing_file(url: str) -> None:
    from sqlalchemy.engine import make_url
    from sqlalchemy.exc import SQLAlchemyError

    try:
        place = make_url(url)
        place.get_dialect()
    except SQLAlchemyError:
        raise ExperimentFileError(
            f"{without_password(url)} is no URL of a database; write sqlite:///FILE.db#NAME or "
            "postgresql://USER:PASSWORD@HOST/DATABASE#NAME."
        ) from None
    if place.get_backend_name() == "sqlite" and not Path(place.database or "").is_file():
        raise ExperimentFileError(f"There is no database file {place.database}.")
