"""Trials of a plain Ax experiment in a database, which is only read."""

import json

from bo_shaping.errors import ExperimentFileError
from bo_shaping.exchange.ax_json import from_ax_json
from bo_shaping.exchange.foreign import ForeignExperiment
from bo_shaping.exchange.urls import refuse_missing
from bo_shaping.text.passwords import without_password
from bo_shaping.text.reasons import reason_of


def from_ax_database(url: str, name: str) -> ForeignExperiment:
    """The trials of the experiment `name` in the database at an SQLAlchemy URL.

    Raises:
        ExperimentFileError: If there is no such database or experiment, or it cannot be read.
    """
    from ax.exceptions.core import AxError
    from ax.storage.json_store.encoder import object_to_json
    from ax.storage.json_store.registry import CORE_CLASS_ENCODER_REGISTRY, CORE_ENCODER_REGISTRY
    from ax.storage.sqa_store.db import session_context
    from ax.storage.sqa_store.load import load_experiment
    from sqlalchemy.exc import SQLAlchemyError

    shown = f"{without_password(url)}#{name}"
    refuse_missing(url, name, table="experiment_v2", column="name", kind="Ax")
    try:
        with session_context(url=url):
            experiment = load_experiment(name, reduced_state=True, skip_runners_and_metrics=True)
        encoded = object_to_json(
            experiment, encoder_registry=CORE_ENCODER_REGISTRY, class_encoder_registry=CORE_CLASS_ENCODER_REGISTRY
        )
    except (AxError, SQLAlchemyError, ValueError, KeyError, TypeError) as error:
        raise ExperimentFileError(f"{shown} cannot be read: {reason_of(error)}.") from None
    return from_ax_json(json.loads(json.dumps(encoded)), shown)
