"""Trials of an Optuna study in its storage, which is only read."""

from typing import Any

from bo_shaping.errors import ExperimentFileError
from bo_shaping.exchange.foreign import ForeignExperiment, ForeignTrial, Outcome
from bo_shaping.exchange.urls import refuse_missing_file
from bo_shaping.text.passwords import without_password


def _optuna() -> Any:
    try:
        import optuna
    except ModuleNotFoundError:
        raise ExperimentFileError("Optuna's studies need optuna: pip install 'bo-shaping[optuna]'") from None
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    return optuna


def from_optuna(url: str, name: str) -> ForeignExperiment:
    """The trials of the Optuna study `name` in the storage at `url`; its values are called `objective`.

    Raises:
        ExperimentFileError: If Optuna is not installed, or there is no such storage or study.
    """
    optuna = _optuna()
    shown = f"optuna+{without_password(url)}#{name}"
    refuse_missing_file(url)
    try:
        study = optuna.load_study(study_name=name, storage=url)
        trials = study.get_trials(deepcopy=False)
    except Exception as error:  # Optuna's own and SQLAlchemy's, which have no base in common
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise ExperimentFileError(f"{shown} cannot be read: {reason}") from None
    names = ["objective"] if len(study.directions) == 1 else [f"objective_{i}" for i in range(len(study.directions))]
    found = []
    for trial in trials:
        state = trial.state.name.lower()
        values = trial.values or [None] * len(names)
        attributes = {key: value for key, value in trial.user_attrs.items() if isinstance(value, int | float)}
        outcomes: dict[str, Outcome] = {key: (float(value), None) for key, value in attributes.items()}
        outcomes |= {key: (value, None) for key, value in zip(names, values, strict=True)}
        problem = None if state == "complete" else f"it is {state}"
        found.append(ForeignTrial(str(trial.number), dict(trial.params), outcomes, problem))
    less = {key for key, direction in zip(names, study.directions, strict=True) if direction.name == "MINIMIZE"}
    return ForeignExperiment(shown, found, frozenset(less))
