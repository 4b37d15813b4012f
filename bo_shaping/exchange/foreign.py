"""Trials as somebody else has them: parameters and metrics by their own names."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from bo_shaping.config.searched_parameter import Value

Outcome = tuple[float | None, float | None]
"""Value and standard error, where they are known."""


@dataclass(frozen=True)
class ForeignTrial:
    """One trial of another program."""

    label: str
    """What its owner calls it."""
    parameters: dict[str, object]
    outcomes: dict[str, Outcome]
    """By metric."""
    problem: str | None = None
    """Why it has no outcome that counts: it failed, is running, was abandoned."""
    seeds: tuple[int, ...] | None = None
    """Seeds of its trainings, if those are ours."""
    words: Mapping[str, str] = field(default_factory=dict)
    """What else a table says of it, by column: of a parameter that holds words this is its value."""


@dataclass(frozen=True)
class ForeignExperiment:
    """The trials of one source."""

    source: str
    trials: list[ForeignTrial]
    minimised: frozenset[str] = frozenset()
    """Metrics of which the source wants less."""
    constants: Mapping[str, Value] = field(default_factory=dict)
    """Parameters that all its trials share without naming them."""
    differs: tuple[str, ...] = ()
    """What of its trainings is not as in the study that they are for; none if they are the same task."""

    @property
    def parameters(self) -> list[str]:
        """Names of all parameters, in the order in which they come."""
        return _names(trial.parameters for trial in self.trials)

    @property
    def words(self) -> list[str]:
        """Names of columns that hold words."""
        return _names(trial.words for trial in self.trials)

    @property
    def metrics(self) -> list[str]:
        """Names of all metrics, in the order in which they come."""
        return _names(trial.outcomes for trial in self.trials)


def _names(mappings: Iterable[Mapping[str, object]]) -> list[str]:
    return list(dict.fromkeys(name for mapping in mappings for name in mapping))
