"""Which of a source's names means what in a study."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from bo_shaping.config import StudyConfig
from bo_shaping.config.limits import MEASURES
from bo_shaping.errors import ExperimentFileError
from bo_shaping.exchange.foreign import ForeignExperiment
from bo_shaping.space.arms import PREFIX
from bo_shaping.surrogate.outcomes import KL, REWARD
from inner_loop.io.schema import nearest

OBJECTIVE = "objective"
"""What `--metric` may call the reward, too."""

_OUR_METRICS = (REWARD, KL, *MEASURES)


@dataclass(frozen=True)
class Names:
    """The names of one source."""

    parameters: dict[str, str]
    """Weight `w_NAME` or training parameter of the study -> name in the source."""
    metrics: dict[str, str]
    """Metric of the study -> name in the source."""
    turned: frozenset[str]
    """Metrics of the study that the source has with the other sign."""
    completed: str | None
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
    parameters, completed = _parameters(foreign, config, maps)
    found, turned = _metrics(foreign, set(parameters.values()), metrics)
    _refuse_unknown_limits(foreign, found, config)
    return Names(parameters, found, turned, completed)


def _parameters(
    foreign: ForeignExperiment, config: StudyConfig, maps: Sequence[str]
) -> tuple[dict[str, str], str | None]:
    """Names of weights and training parameters, and the component that is left out."""
    weights, there = [PREFIX + name for name in config.search_space.components], foreign.parameters
    with_words = {name: [*there, *foreign.words] for name, own in config.search_space.choices.items() if own.are_words}
    wanted = [*weights, *config.search_space.parameters]
    all_there = list(dict.fromkeys([*there, *(name for names in with_words.values() for name in names)]))
    given = _given(
        maps, "--map", all_there, {name.removeprefix(PREFIX): name for name in wanted} | {n: n for n in wanted}
    )
    found = {}
    for name in wanted:
        spellings = [given[name]] if name in given else [name, name.removeprefix(PREFIX)]
        if (spelling := next((each for each in spellings if each in with_words.get(name, there)), None)) is not None:
            found[name] = spelling
    missing = [name for name in wanted if name not in found and name not in foreign.constants]
    if foreign.constants:
        # An old study of ours: a component that it does not have had the weight 0.
        missing = [name for name in missing if name not in weights]
    elif len(left_out := [name for name in weights if name in missing]) == 1:
        # Weights that sum to one are often given without the last.
        missing.remove(left_out[0])
        if not missing:
            return found, left_out[0].removeprefix(PREFIX)
    if missing:
        raise ExperimentFileError(
            f"{foreign.source} has no {', '.join(missing)}: the study searches {', '.join(wanted)}, and there are "
            f"{', '.join(there) or 'no parameters'}; say which is which, as in --map "
            f"{there[0] if there else 'THEIRS'}={missing[0].removeprefix(PREFIX)}"
        )
    return found, None


def _metrics(
    foreign: ForeignExperiment, taken: set[str], texts: Sequence[str]
) -> tuple[dict[str, str], frozenset[str]]:
    """Names of metrics, and which of ours have the other sign there; what is a parameter already is none of them."""
    there, ours = foreign.metrics, {name: name for name in _OUR_METRICS} | {OBJECTIVE: REWARD}
    given = _given([text.removeprefix("-") for text in texts], "--metric", there, ours)
    turned = {ours[text.partition("=")[2]] for text in texts if text.startswith("-") and text.partition("=")[2] in ours}
    found = {name: given.get(name, name) for name in _OUR_METRICS if given.get(name, name) in there}
    left_over = [name for name in there if name not in taken]
    if REWARD not in found and len(left_over) == 1:
        found[REWARD] = left_over[0]
    if REWARD not in found:
        raise ExperimentFileError(
            f"{foreign.source} has no metric {REWARD!r}; there are {', '.join(left_over) or 'none'}: say which it is "
            f"with --metric {left_over[0] if left_over else 'THEIRS'}={REWARD}"
        )
    if found[REWARD] in foreign.minimised and REWARD not in turned:
        raise ExperimentFileError(
            f"{foreign.source} wants less of {found[REWARD]!r}, and a study more of its reward: turn the sign with "
            f"--metric=-{found[REWARD]}={REWARD}"
        )
    return found, frozenset(turned)


def _refuse_unknown_limits(foreign: ForeignExperiment, found: Mapping[str, str], config: StudyConfig) -> None:
    """Raise `ExperimentFileError` if the study limits something that the source does not have."""
    needed = {*config.objective.measures, *([KL] if config.objective.pareto else [])}
    if lacking := sorted(needed - set(found) - {REWARD}):
        raise ExperimentFileError(
            f"The study limits {', '.join(lacking)}, which {foreign.source} does not have (there are "
            f"{', '.join(foreign.metrics)}): say which it is with --metric THEIRS={lacking[0]}, or launch without that "
            "limit."
        )


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
            known, like = ", ".join(dict.fromkeys(ours.values())), nearest(right, ours)
            raise ExperimentFileError(
                f"{option} {text}: the study has no {right!r}, did you mean {like!r}? There are {known}."
            )
        else:
            known = f"did you mean {nearest(left, there)!r}? There are {', '.join(there)}" if there else "and no other"
            raise ExperimentFileError(f"{option} {text}: the source has no {left!r}, {known}.")
    return given
