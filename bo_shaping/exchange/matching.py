"""From a trial by somebody else's names to an arm of the study and its outcome, or the reason why that cannot be."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from bo_shaping.config import StudyConfig
from bo_shaping.config.limits import MEASURES
from bo_shaping.config.tunable import TUNABLE, value_of
from bo_shaping.errors import ExperimentFileError, TellError
from bo_shaping.exchange.foreign import ForeignExperiment, ForeignTrial
from bo_shaping.running.tell import checked_arm
from bo_shaping.space.arms import PREFIX
from bo_shaping.surrogate.outcomes import KL, REWARD
from inner_loop.spec import COMPONENTS, SUM_ATOL

OBJECTIVE = "objective"
"""What `--metric` may call the reward, too."""


class NoMatchError(Exception):
    """A trial that cannot be taken; the message is the reason."""


@dataclass(frozen=True)
class Names:
    """Which of a source's names means what here."""

    parameters: dict[str, str]
    """Weight `w_NAME` or training parameter of the study -> name in the source."""
    metrics: dict[str, str]
    """Metric of the study -> name in the source."""
    signs: dict[str, float]
    """Metric of the study -> -1 where the source has it the other way round."""
    completed: str | None = None
    """The component whose weight the source leaves out: it is what the others leave of 1."""


def match_names(foreign: ForeignExperiment, config: StudyConfig, maps: Sequence[str], metrics: Sequence[str]) -> Names:
    """Find every weight, training parameter and metric of the study among a source's names.

    Args:
        foreign: The source.
        config: The study.
        maps: `THEIRS=OURS` for parameters; ours with or without `w_`.
        metrics: `THEIRS=OURS` for metrics; `-THEIRS=OURS` turns the sign.

    Raises:
        ExperimentFileError: If something is missing: the message has both lists and what to write.
    """
    space = config.search_space
    wanted = [PREFIX + name for name in space.components] + list(space.parameters)
    there = foreign.parameters
    given = _given(maps, "--map", there, {name.removeprefix(PREFIX): name for name in wanted} | {n: n for n in wanted})
    parameters = {}
    for name in wanted:
        spellings = [given[name]] if name in given else [name, name.removeprefix(PREFIX)]
        if (found := next((spelling for spelling in spellings if spelling in there), None)) is not None:
            parameters[name] = found
    missing = [name for name in wanted if name not in parameters and name not in foreign.constants]
    completed = None
    weights = [name for name in missing if name.startswith(PREFIX)]
    # Weights that sum to one are often given without the last; an old study has those of its own components only.
    if len(weights) == 1 and not foreign.constants:
        completed = weights[0]
    missing = [name for name in missing if not name.startswith(PREFIX) or not (foreign.constants or completed)]
    if missing:
        raise ExperimentFileError(
            f"{foreign.source} has no {', '.join(missing)}: the study searches {', '.join(wanted)}, and there are "
            f"{', '.join(there) or 'no parameters'}; say which is which, as in --map "
            f"{there[0] if there else 'THEIRS'}={missing[0].removeprefix(PREFIX)}"
        )
    return _with_metrics(Names(parameters, {}, {}, completed), foreign, config, metrics)


def _with_metrics(names: Names, foreign: ForeignExperiment, config: StudyConfig, metrics: Sequence[str]) -> Names:
    there = foreign.metrics
    ours = {name: name for name in (REWARD, KL, *MEASURES)} | {OBJECTIVE: REWARD}
    signs, plain = {}, []
    for text in metrics:
        left = text.partition("=")[0]
        if left.startswith("-"):
            signs[ours.get(text.partition("=")[2], "")] = -1.0
        plain.append(text.removeprefix("-"))
    given = _given(plain, "--metric", there, ours)
    found = {name: given.get(name, name) for name in (REWARD, KL, *MEASURES) if given.get(name, name) in there}
    # Columns of a table are parameters and metrics at once.
    left_over = [name for name in there if name not in (*names.parameters.values(), *names.metrics.values())]
    if REWARD not in found and len(left_over) == 1:
        found[REWARD] = left_over[0]
    if REWARD not in found:
        raise ExperimentFileError(
            f"{foreign.source} has no metric {REWARD!r}; there are {', '.join(left_over) or 'none'}: say which it is "
            f"with --metric {left_over[0] if left_over else 'THEIRS'}={REWARD}"
        )
    if found[REWARD] in foreign.minimised and REWARD not in signs:
        raise ExperimentFileError(
            f"{foreign.source} wants less of {found[REWARD]!r}, and a study more of its reward: turn the sign with "
            f"--metric=-{found[REWARD]}={REWARD}"
        )
    needed = {*config.objective.measures, *([KL] if config.objective.pareto else [])}
    lacking = sorted(needed - set(found) - {REWARD})
    if lacking:
        raise ExperimentFileError(
            f"The study limits {', '.join(lacking)}, which {foreign.source} does not have (there are "
            f"{', '.join(left_over)}): say which it is with --metric THEIRS={lacking[0]}, or launch without that limit."
        )
    return Names(names.parameters, found, signs, names.completed)


def _given(texts: Sequence[str], option: str, there: Sequence[str], ours: Mapping[str, str]) -> dict[str, str]:
    """Names of the study -> names in the source, from `THEIRS=OURS`; the other way round is understood, too."""
    given = {}
    for text in texts:
        left, equals, right = text.partition("=")
        if not equals:
            raise ExperimentFileError(f"{option} looks like THEIRS=OURS, got {text!r}.")
        if left in there and right in ours:
            given[ours[right]] = left
        elif right in there and left in ours:
            given[ours[left]] = right
        elif left in there:
            known = ", ".join(dict.fromkeys(ours.values()))
            raise ExperimentFileError(f"{option} {text}: the study has no {right!r}; there are {known}.")
        else:
            raise ExperimentFileError(f"{option} {text}: the source has no {left!r}; there are {', '.join(there)}.")
    return given


def matched_arm(
    trial: ForeignTrial, foreign: ForeignExperiment, names: Names, config: StudyConfig
) -> tuple[dict[str, float], dict[str, float]]:
    """Weights and training parameters of a trial.

    Raises:
        NoMatchError: If it is not a point of the study's search space.
    """
    _refuse_what_is_held_here(trial, foreign, config)
    arm = {}
    for name in config.search_space.components:
        spelling = names.parameters.get(PREFIX + name)
        # A component that an old study did not have had no weight.
        arm[name] = 0.0 if spelling is None else _number(spelling, trial.parameters.get(spelling))
    if names.completed is not None:
        arm[names.completed.removeprefix(PREFIX)] = round(1.0 - sum(arm.values()), 12)
    for name in config.search_space.parameters:
        spelling = names.parameters.get(name)
        value = foreign.constants.get(name) if spelling is None else trial.parameters.get(spelling)
        arm[name] = _number(name, value)
    total = sum(arm[name] for name in config.search_space.components)
    if abs(total - 1) > SUM_ATOL:
        raise NoMatchError(f"its weights sum to {total:.4g}, not to 1")
    try:
        return checked_arm(config, arm)
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
            if here is None or not math.isclose(_number(name, value), here, rel_tol=1e-6):
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
        values[metric] = names.signs.get(metric, 1.0) * float(value)
        if metric == REWARD and error is not None and math.isfinite(error) and error >= 0:
            sem = float(error)
    return values, sem


def _number(name: str, value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise NoMatchError(f"its {name} is {value!r}, which is no number")
    return float(value)
