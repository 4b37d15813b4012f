"""Trials of an Optuna study in its storage, which is only read; and a study of ours for Optuna's dashboard."""

from pathlib import Path
from typing import Any

from bo_shaping.config.searched_parameter import Value
from bo_shaping.config.tunable import is_integer
from bo_shaping.errors import ExperimentFileError
from bo_shaping.exchange.foreign import ForeignExperiment, ForeignTrial, Outcome
from bo_shaping.exchange.urls import refuse_missing
from bo_shaping.space.arms import PREFIX, to_arm
from bo_shaping.storage.study_folder import StudyFolder
from bo_shaping.text.passwords import without_password
from bo_shaping.text.reasons import reason_of


def _optuna() -> Any:
    try:
        import optuna
    except ModuleNotFoundError:
        raise ExperimentFileError("Optuna's studies need optuna: pip install 'bo-shaping[optuna]'") from None
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    return optuna


def to_optuna(folder: StudyFolder, file: Path) -> int:
    """Write a study into a new SQLite storage of Optuna, as `optuna-dashboard` shows it; returns how many trials.

    Weights are parameters `w_*`; KL, measures, origin and seeds are user attributes. Trials that wait are left out.

    Raises:
        ExperimentFileError: If Optuna is not installed, or there is a file already.
    """
    optuna = _optuna()
    if file.exists():
        raise ExperimentFileError(f"{file} exists already; name another file.")
    config, states = folder.config(), optuna.trial.TrialState
    space = config.search_space
    ranges: dict[str, Any] = {
        f"{PREFIX}{name}": optuna.distributions.FloatDistribution(low, high)
        for name, (low, high) in space.weight_bounds.items()
    }
    for name, parameter in space.ranges.items():
        kind = optuna.distributions.IntDistribution if is_integer(name) else optuna.distributions.FloatDistribution
        ranges[name] = kind(*parameter.bounds, log=parameter.log)
    for name, choice in space.choices.items():
        ranges[name] = optuna.distributions.CategoricalDistribution(choice.values)
    study = optuna.create_study(storage=f"sqlite:///{file}", study_name=config.name, direction="maximize")
    study.set_user_attr("reward", config.objective.reward_in_words)
    n_trials = 0
    for record in folder.records():
        state = _STATES.get(record.status)
        if state is None or (state == "COMPLETE" and record.mean is None):
            continue
        attributes = {"kl": record.kl, "final": record.final, "reason": record.reason, **record.measures}
        study.add_trial(
            optuna.trial.create_trial(
                state=states[state],
                params={
                    name: _within(value, ranges[name])
                    for name, value in to_arm(record.weights, record.parameters).items()
                },
                distributions=ranges,
                value=record.mean if state == "COMPLETE" else None,
                user_attrs={name: value for name, value in attributes.items() if value is not None}
                | {"origin": record.origin, "seeds": list(record.seeds)},
            )
        )
        n_trials += 1
    return n_trials


_STATES = {"completed": "COMPLETE", "stopped": "PRUNED", "failed": "FAIL"}


def _within(value: Value, distribution: Any) -> Value:
    """The value where Optuna takes it: an optimiser may have gone past the end by a rounding error."""
    if hasattr(distribution, "choices"):
        return value
    return min(max(value, distribution.low), distribution.high)


def from_optuna(url: str, name: str) -> ForeignExperiment:
    """The trials of the Optuna study `name` in the storage at `url`; its values are called `objective`.

    Raises:
        ExperimentFileError: If Optuna is not installed, or there is no such storage or study.
    """
    optuna = _optuna()
    shown = f"optuna+{without_password(url)}#{name}"
    refuse_missing(url, name, table="studies", column="study_name", kind="Optuna")
    try:
        study = optuna.load_study(study_name=name, storage=url)
        trials = study.get_trials(deepcopy=False)
    except Exception as error:  # Optuna's own and SQLAlchemy's, which have no base in common
        raise ExperimentFileError(f"{shown} cannot be read: {reason_of(error)}.") from None
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
