"""From a trial by somebody else's names to an arm of the study and its outcome, or the reason why that cannot be."""

import math

from bo_shaping.config import StudyConfig
from bo_shaping.config.searched_parameter import Value, is_same
from bo_shaping.config.tunable import TUNABLE, value_of
from bo_shaping.errors import TellError
from bo_shaping.exchange.foreign import ForeignExperiment, ForeignTrial
from bo_shaping.exchange.names import Names
from bo_shaping.running.tell import checked_arm
from bo_shaping.space.arms import PREFIX
from bo_shaping.surrogate.outcomes import REWARD
from inner_loop.spec import COMPONENTS, SUM_ATOL


class NoMatchError(Exception):
    """A trial that cannot be taken; the message is the reason."""


def matched_arm(
    trial: ForeignTrial, foreign: ForeignExperiment, names: Names, config: StudyConfig
) -> tuple[dict[str, float], dict[str, Value]]:
    """Weights and training parameters of a trial.

    Raises:
        NoMatchError: If it is not a point of the study's search space.
    """
    _refuse_what_is_held_here(trial, foreign, config)
    weights: dict[str, float] = {}
    for name in config.search_space.components:
        spelling = names.parameters.get(PREFIX + name)
        # A component that an old study did not have had no weight.
        weights[name] = 0.0 if spelling is None else _number(spelling, trial.parameters.get(spelling))
    if names.completed is not None:
        weights[names.completed] = round(1.0 - sum(weights.values()), 12)
    parameters: dict[str, Value] = {}
    for name in config.search_space.parameters:
        spelling = names.parameters.get(name)
        value = foreign.constants.get(name) if spelling is None else _cell(trial, spelling)
        parameters[name] = value if isinstance(value, str) else _number(name, value)
    total = sum(weights.values())
    if abs(total - 1) > SUM_ATOL:
        raise NoMatchError(f"its weights sum to {total:.4g}, not to 1")
    try:
        return checked_arm(config, weights | parameters)
    except TellError as error:
        raise NoMatchError(str(error).rstrip(".")) from None


def _refuse_what_is_held_here(trial: ForeignTrial, foreign: ForeignExperiment, config: StudyConfig) -> None:
    """What a study of ours searched, and this one does not, must be what this one holds."""
    if not foreign.constants:
        return
    space = config.search_space
    for name, value in trial.parameters.items():
        component = name.removeprefix(PREFIX)
        if name.startswith(PREFIX) and component in COMPONENTS and component not in space.components:
            if _number(name, value) > 0:
                raise NoMatchError(f"it has weight on {component}, which the study does not mix")
        elif name in TUNABLE and name not in space.parameters:
            here = value_of(name, config.ppo, config.attribution)
            if here is None or not is_same(value if isinstance(value, str) else _number(name, value), here):
                raise NoMatchError(f"its {name} is {value}, and the study holds {here}")


def matched_outcome(trial: ForeignTrial, names: Names) -> tuple[dict[str, float], float | None]:
    """Values by metric of the study, and the reward's standard error if it is known.

    Raises:
        NoMatchError: If it has no usable reward.
    """
    if trial.problem is not None:
        raise NoMatchError(trial.problem)
    values, sem = {}, None
    for metric, spelling in names.metrics.items():
        value, error = trial.outcomes.get(spelling, (None, None))
        if value is None or not math.isfinite(value):
            if metric == REWARD:
                raise NoMatchError(f"it has no {spelling}")
            continue
        values[metric] = -float(value) if metric in names.turned else float(value)
        if metric == REWARD and error is not None and math.isfinite(error) and error >= 0:
            sem = float(error)
    return values, sem


def _cell(trial: ForeignTrial, name: str) -> object:
    return trial.parameters.get(name, trial.words.get(name))


def _number(name: str, value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise NoMatchError(f"its {name} is {value!r}, which is no number")
    return float(value)
