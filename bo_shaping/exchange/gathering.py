"""The trials of all sources: those that a new study begins with, and those of other tasks that it learns from."""

from collections.abc import Sequence
from dataclasses import dataclass

from bo_shaping.config import RelatedTask, RelatedTrial, StudyConfig
from bo_shaping.config.related import MIN_TRIALS
from bo_shaping.errors import ExperimentFileError, TellError
from bo_shaping.exchange.foreign import ForeignExperiment, ForeignTrial
from bo_shaping.exchange.matching import NoMatchError, matched_arm, matched_outcome
from bo_shaping.exchange.names import Names, match_names
from bo_shaping.exchange.sources import read_source
from bo_shaping.generation.design import initial_design
from bo_shaping.running.tell import told
from bo_shaping.space.arms import PREFIX, Arm, to_arm
from bo_shaping.storage.ledger import trial_of_arm
from bo_shaping.storage.records import Entry
from bo_shaping.surrogate.outcomes import KL, REWARD
from inner_loop.spec import SPARSE

FOREIGN_SEED = 1_000_000
"""Added to the seed of the study for trials of which the seeds are not known: they share none with its own."""


@dataclass(frozen=True)
class Taken:
    """What came of one source."""

    source: str
    n_taken: int
    left_out: list[tuple[str, str]]
    """Label of a trial and why it was left out."""
    has_unused_sems: bool
    """Whether there were standard errors that the study cannot use."""
    differs: tuple[str, ...] = ()
    """What makes its trainings those of another task; none if its trials have joined."""

    def sentences(self) -> list[str]:
        """One line for the source, and one per trial that was left out."""
        n_trials = self.n_taken + len(self.left_out)
        lines = [f"Took {self.n_taken} of {n_trials} trials from {self.source}."]
        if self.differs:
            lines = [
                f"Learns from {self.n_taken} of {n_trials} trials from {self.source} as from another task: "
                f"{'; '.join(self.differs)}."
            ]
        if self.has_unused_sems:
            lines[0] += " Their standard errors are shown and not used: noise.replicates is 1, so noise is inferred."
        return lines + [f"  left out trial {label}: {reason}" for label, reason in self.left_out]


@dataclass(frozen=True)
class Gathered:
    """What a new study has from others."""

    entries: list[Entry]
    """Trials that have joined, numbered from 0 on."""
    related: tuple[RelatedTask, ...]
    """Trials of other tasks."""
    taken: list[Taken]
    """What came of each source."""

    @property
    def n_joined(self) -> int:
        """Trials that have an outcome: they come on top of the budget."""
        return sum(entry.record.status == "completed" for entry in self.entries)

    def joined(self, config: StudyConfig) -> StudyConfig:
        """The configuration of the study that begins with this."""
        budget = config.budget.model_copy(update={"trials": config.budget.trials + self.n_joined})
        return config.model_copy(update={"budget": budget, "related": self.related})


def gather(
    config: StudyConfig, sources: Sequence[str], maps: Sequence[str] = (), metrics: Sequence[str] = ()
) -> Gathered:
    """The trials that a study begins with, numbered from 0 on, the other tasks, and what came of each source.

    If none of them is the sparse reward alone, a training of it is added, which the study runs first: everything is
    compared with it.

    Args:
        config: The study.
        sources: As of `read_source`.
        maps: `THEIRS=OURS` for parameters.
        metrics: `THEIRS=OURS` for metrics.

    Raises:
        ExperimentFileError: If a source cannot be read, its names do not fit the study's, or no trial does.
    """
    entries: list[Entry] = []
    related: list[RelatedTask] = []
    report = []
    for source in sources:
        foreign = read_source(source, config)
        names = match_names(foreign, config, maps, metrics)
        left_out: list[tuple[str, str]] = []
        if foreign.differs:
            task = _related(foreign, names, config, left_out)
            _add_task(related, task)
            report.append(Taken(foreign.source, len(task.trials), left_out, False, foreign.differs))
            continue
        n_before, has_sems = len(entries), False
        for trial in foreign.trials:
            try:
                weights, parameters = matched_arm(trial, foreign, names, config)
                entry, has_sem = _entry(
                    config, len(entries), trial, names, to_arm(weights, parameters, config.search_space)
                )
            except (NoMatchError, TellError) as error:
                left_out.append((trial.label, str(error)))
                continue
            entries.append(entry)
            has_sems |= has_sem
        report.append(Taken(foreign.source, len(entries) - n_before, left_out, has_sems))
    if not entries and not related:
        raise ExperimentFileError(" ".join(line.strip() for each in report for line in each.sentences()[:2]))
    if not entries:
        return Gathered([], tuple(related), report)
    baseline = initial_design(config)[0]
    if not any(entry.record.weights[SPARSE] == baseline[f"{PREFIX}{SPARSE}"] for entry in entries):
        usual = range(config.seed, config.seed + config.noise.replicates)
        entries.append(trial_of_arm(len(entries), baseline, "running", usual, "design"))
    return Gathered(entries, tuple(related), report)


def _add_task(related: list[RelatedTask], task: RelatedTask) -> None:
    """Add a task, or its trials to those of one that differs in the same: that is the same other task."""
    for place, known in enumerate(related):
        if known.differs == task.differs:
            source, trials = f"{known.source} and {task.source}", (*known.trials, *task.trials)
            related[place] = RelatedTask(source=source, differs=task.differs, trials=trials)
            return
    related.append(task)


def _related(
    foreign: ForeignExperiment, names: Names, config: StudyConfig, left_out: list[tuple[str, str]]
) -> RelatedTask:
    """The trials of another task; those that are no points of the study's search space go to `left_out`."""
    trials = []
    for trial in foreign.trials:
        try:
            weights, parameters = matched_arm(trial, foreign, names, config)
            outcomes, _ = matched_outcome(trial, names)
        except NoMatchError as error:
            left_out.append((trial.label, str(error)))
            continue
        trials.append(
            RelatedTrial(weights=weights, parameters=parameters, outcomes=outcomes, seeds=trial.seeds or (config.seed,))
        )
    if len(trials) < MIN_TRIALS:
        taken = Taken(foreign.source, len(trials), left_out, False, foreign.differs)
        raise ExperimentFileError(
            f"{' '.join(line.strip() for line in taken.sentences()[:2])} It takes {MIN_TRIALS} trials to learn from."
        )
    return RelatedTask(source=foreign.source, differs=foreign.differs, trials=tuple(trials))


def _entry(config: StudyConfig, index: int, trial: ForeignTrial, names: Names, arm: Arm) -> tuple[Entry, bool]:
    """A trial as completed, and whether it had a standard error that is not used."""
    values, sem = matched_outcome(trial, names)
    seeds: Sequence[int] | None = trial.seeds
    if seeds is None:
        first = config.seed + FOREIGN_SEED + index * config.noise.replicates
        seeds = range(first, first + config.noise.replicates)
    measures = {name: value for name, value in values.items() if name not in (REWARD, KL)}
    waiting = trial_of_arm(index, arm, "asked", seeds, "attached")
    entry = told(config, waiting, values[REWARD], sem, values.get(KL), measures)
    return entry, sem is not None and len(seeds) == 1
