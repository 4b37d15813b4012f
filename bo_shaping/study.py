"""A study: launch it, run it, load it again, and ask what it learned."""

import copy
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ax.api.client import Client

from bo_shaping.config import StudyConfig
from bo_shaping.config.changes import written
from bo_shaping.config.inner_loop import check_inner_loop
from bo_shaping.config.searched_parameter import Value
from bo_shaping.config.trackers import refuse_missing_packages
from bo_shaping.config.tunable import with_parameters
from bo_shaping.errors import RetryError, TellError
from bo_shaping.exchange.gathering import Taken, gather
from bo_shaping.executors import make_executor
from bo_shaping.generation.strategy import fit_strategy, new_client
from bo_shaping.libraries.ax_internals import forget_status_quo
from bo_shaping.running.driver import Driver
from bo_shaping.running.tell import checked_arm, given_up, told
from bo_shaping.running.transitions import again
from bo_shaping.space.arms import to_arm
from bo_shaping.storage.importing import import_study, imported_config
from bo_shaping.storage.ledger import Ledger
from bo_shaping.storage.lifecycle import create, rebuild, reopen, with_absolute_folders
from bo_shaping.storage.lock_check import refuse_without_locks
from bo_shaping.storage.portable import PortableStudy, read_portable
from bo_shaping.storage.recommendation_file import read_recommendation, write_recommendation
from bo_shaping.storage.records import TrialRecord
from bo_shaping.storage.study_folder import StudyFolder, find_study, studies_root
from bo_shaping.storage.trials_frame import trials_frame
from bo_shaping.surrogate.evidence import evidence_of
from bo_shaping.surrogate.recommend import recommend
from bo_shaping.surrogate.recommendation import Best, Surface
from bo_shaping.tracking.feed import feeding
from inner_loop.spec import CurvePoint, TrialResult
from inner_loop.spec.credit_similarity import CreditSimilarity

if TYPE_CHECKING:
    import pandas as pd

    from inner_loop.shaping import ShapingFunction


class Study:
    """One study in its folder. Made by `Study.launch` or `Study.load`.

    study = Study.launch(StudyConfig.from_yaml("study.yaml"))
    study.run()
    print(study.best().weights)
    shape = study.shaping_function()
    """

    def __init__(self, folder: StudyFolder, config: StudyConfig, ledger: Ledger) -> None:
        self._folder = folder
        self._config = config
        self._ledger = ledger
        self._is_checked = False
        self._shown: tuple[tuple[int, int], Client] | None = None
        """The client that `ax_client` made, and of which state of the study."""
        self.taken: list[Taken] = []
        """What came of the sources that it was launched with."""
        self.remarks: list[str] = []
        """What `launch` noticed of the task that is no mistake but worth knowing, in sentences."""
        self.why_enough: str | None = None
        """Why the last `run` ended before its budget was spent (`stop_when_regret_below`); None if it did not."""

    @classmethod
    def launch(
        cls,
        config: StudyConfig,
        *,
        sources: Sequence[str] = (),
        maps: Sequence[str] = (),
        metrics: Sequence[str] = (),
    ) -> "Study":
        """Create a study in the folder of studies; `run` then spends its budget.

        Args:
            config: What the study is.
            sources: Whose trials it begins with, as of `bo_shaping.exchange.sources`: they come on top of the budget.
                Trials of another task (another policy, reward model or length) do not join: the study learns from them.
                `taken` says what came of each.
            maps: `THEIRS=OURS` for their parameters.
            metrics: `THEIRS=OURS` for their metrics.

        Raises:
            ExperimentFileError: If a source cannot be read, its names do not fit, or none of its trials does.
            StudyExistsError: If there is one of that name, here or in the configured database.
            StorageError: If locks on files mean nothing where it would live.
            TaskError: If the task cannot be set up.
            ConfigError: If the inner loop cannot be imported, or a tracker is not installed.
        """
        folder = StudyFolder((studies_root() / config.name).resolve())
        folder.refuse_existing()
        refuse_missing_packages(config.tracking)
        remarks = check_inner_loop(config.inner_loop, config.task, config.evaluation, config.ppo)
        studies_root().mkdir(parents=True, exist_ok=True)
        refuse_without_locks(studies_root())
        config = with_absolute_folders(config)
        if sources:
            study = cls._launch_with(config, sources, maps, metrics)
        else:
            study = cls(folder, config, create(folder, config))
        study._is_checked, study.remarks = True, remarks
        return study

    @classmethod
    def _launch_with(
        cls, config: StudyConfig, sources: Sequence[str], maps: Sequence[str], metrics: Sequence[str]
    ) -> "Study":
        found = gather(config, sources, maps, metrics)
        config = found.joined(config)
        if found.entries:
            portable = PortableStudy(config=written(config), entries=found.entries)
            study = cls.load(import_study(portable, config, studies_root()).path)
        else:
            folder = StudyFolder((studies_root() / config.name).resolve())
            study = cls(folder, config, create(folder, config))
        study.taken = found.taken
        return study

    @classmethod
    def from_ax(
        cls, file: str | Path, *, name: str | None = None, settings: Sequence[str] = (), allow_change: bool = False
    ) -> "Study":
        """A new study that goes on where a saved one was: from its `ax_experiment.json` alone.

        It proposes the very next arm that the original would have. Only explained responses are missing.

        Args:
            file: The snapshot of a study, or what `bo-shaping export --format ax-json` writes.
            name: Name of the new study; that of the old one by default.
            settings: Dotted settings such as `budget.trials=40`. Code that the file names (`inner_loop`, a reward model
                or a parser `module:function`) is imported only if a setting names it, too.
            allow_change: As of `load`.

        Raises:
            ExperimentFileError: If the file is damaged, foreign, or names code that no setting names.
            StudyExistsError: If there is a study of that name.
            ConfigError: If the settings are not valid, or change what matters.
        """
        path = Path(file)
        study = read_portable(path)
        config = imported_config(path, study, name, settings, allow_change)
        return cls.load(import_study(study, config, studies_root()).path)

    @classmethod
    def load(cls, name_or_path: str | Path, config: StudyConfig | None = None, allow_change: bool = False) -> "Study":
        """An existing study, by name, by folder, or by storage URL.

        Args:
            name_or_path: Which study.
            config: The configuration to go on with; None for the study's own file, which may have been edited.
            allow_change: Go on although more has changed than budget, executor, workers, threads or storage: the trials
                before and after are then no longer comparable.

        Raises:
            StudyNotFoundError: If there is none.
            StudyChangedError: If the configuration has changed in what matters.
            StudyExistsError: If the configured database holds a study of this name that lives in another folder.
            StorageError: If its journal or database cannot be read; `Study.rebuild` is the remedy.
        """
        folder = find_study(name_or_path)
        ledger = reopen(folder, config or folder.config(), allow_change)
        return cls(folder, ledger.config, ledger)

    @classmethod
    def rebuild(cls, name_or_path: str | Path) -> "Study":
        """An existing study whose database is lost, damaged or written by another Ax, rebuilt from its journal.

        Where it is the journal that is lost or damaged, it is written anew from the database. Damaged files are kept
        beside the new ones, as `study.db.damaged` or `journal.jsonl.damaged`.

        Raises:
            StudyExistsError: If the configured database holds a study of this name that lives in another folder.
            StorageError: If both are lost.
        """
        folder = find_study(name_or_path)
        config = folder.config()
        return cls(folder, config, rebuild(folder, config))

    @property
    def name(self) -> str:
        """Name of the study."""
        return self._config.name

    @property
    def path(self) -> Path:
        """The study's folder."""
        return self._folder.path

    @property
    def config(self) -> StudyConfig:
        """What the study is."""
        return self._config

    @property
    def folder(self) -> StudyFolder:
        """The study's files."""
        return self._folder

    @property
    def ax_client(self) -> Client:
        """An Ax client with all trials and our generation strategy; what you change in it is not saved.

        The sparse arm is Ax's status quo only if a limit of the study is relative to it: Ax would show every outcome as
        a percentage of a status quo.
        """
        self._ledger.refresh()
        state = (id(self._ledger.client), self._folder.journal.position)
        if self._shown is None or self._shown[0] != state:
            experiment = copy.deepcopy(self._ledger.experiment)
            if not any(limit.relative for limit in self._config.objective.limits):
                forget_status_quo(experiment)
            self._shown = (state, new_client(experiment, self._config.related))
        client = self._shown[1]
        fit_strategy(client, self._config.seed)
        return client

    def run(self, n_trials: int | None = None, on_change: Callable[[], None] = lambda: None) -> None:
        """Run trials; returns when none is running.

        Args:
            n_trials: How many new trials; None for the rest of the configured budget. Trials that an earlier run left
                unfinished are finished first and are not new.
            on_change: Called a few times a second, for a live view.

        Raises:
            StudyLockedError: If another process drives the study.
            TaskError: If a model or the prompts are no longer where they were.
        """
        if not self._is_checked:
            # A model that was moved must not cost the rest of the budget; `launch` has just loaded it.
            config = self._config
            check_inner_loop(config.inner_loop, config.task, config.evaluation, config.ppo)
            self._is_checked = True
        with self._ledger.driven():
            n_known = len(self._ledger.entries)
            total = self._config.budget.trials if n_trials is None else n_known + n_trials
            executor = make_executor(self._config, self._folder)
            driver = Driver(self._folder, self._config, self._ledger, executor)
            driver.run(total, on_change)
            self.why_enough = driver.why_enough

    def ask(self) -> tuple[int, dict[str, Value]]:
        """The next trial, for an inner loop of your own: its index, and its weights and training parameters by name.

        It waits for `tell`, is never run by the study, and counts as one of its trials.

        Raises:
            StudyLockedError: If another process drives the study.
        """
        with self._ledger.driven():
            record = self._ledger.propose("asked").record
        return record.index, {**record.weights, **record.parameters}

    def tell(
        self,
        index: int,
        mean: float,
        sem: float | None = None,
        kl: float | None = None,
        measures: Mapping[str, float] | None = None,
    ) -> None:
        """The outcome of a trial that `ask` gave.

        Args:
            index: Which trial.
            mean: What the study maximises (`objective.measure`).
            sem: Its standard error. The surrogate uses it if the study has replicates (it is then over seeds), and
                otherwise infers the noise between trainings.
            kl: Final KL to the reference; needed if the study limits it.
            measures: Further measures; those that the study limits are needed.

        Raises:
            TellError: If there is no such trial, it was told already, or a number cannot be used.
            StudyLockedError: If another process drives the study.
        """
        with self._ledger.driven():
            self._ledger.write(told(self._config, self._ledger.entry(index, TellError), mean, sem, kl, measures))
        self._track()

    def tell_failed(self, index: int, reason: str = "given up") -> None:
        """Give up a trial that `ask` gave: it has failed, and nobody waits for its outcome. Raises as `tell`."""
        with self._ledger.driven():
            self._ledger.write(given_up(self._ledger.entry(index, TellError), reason))
        self._track()

    def attach(
        self,
        parameters: Mapping[str, Value],
        mean: float | None = None,
        sem: float | None = None,
        kl: float | None = None,
        measures: Mapping[str, float] | None = None,
    ) -> int:
        """Add an arm of your own choice, weights and training parameters by name; returns the index of its trial.

        With `mean`, its outcome comes with it; without, it waits for `tell`.

        Raises:
            TellError: If the arm is not in the search space, or a number cannot be used.
            StudyLockedError: If another process drives the study.
        """
        weights, extra = checked_arm(self._config, parameters)
        with self._ledger.driven():
            entry = self._ledger.new_entry(to_arm(weights, extra), "asked", "attached")
            if mean is not None:
                entry = told(self._config, entry, mean, sem, kl, measures)
            self._ledger.write(entry)
        self._track()
        return entry.record.index

    def _track(self) -> None:
        """Let the study's trackers know of trials that nobody runs here."""
        if self._config.tracking:
            with feeding(self._folder, self._config) as feed:
                feed.look(self._ledger.entries)

    def stop(self) -> bool:
        """Ask the process that drives the study to end as after Ctrl-C; False if nobody drives it."""
        return self._folder.request_stop()

    def retry(self, index: int) -> None:
        """Have a failed trial run again, with the same arm and seeds, at the next `run`.

        A trial that `ask` gave, and that was told to have failed, waits to be told again.

        Raises:
            RetryError: If there is no such trial, or it has not failed.
            StudyLockedError: If another process drives the study.
        """
        with self._ledger.driven():
            entry = self._ledger.entry(index, RetryError)
            if entry.record.status != "failed":
                raise RetryError(f"Trial {index} is {entry.record.status}; only a failed trial can be run again.")
            trial = self._folder.trial(index)
            trial.forget_ending()
            self._ledger.write(again(entry, "running" if trial.has_job() else "asked"))

    def trial(self, index: int) -> TrialRecord:
        """What is known of one trial.

        Raises:
            KeyError: If there is none of that index.
        """
        return self._folder.journal.entries()[index].record

    def best(self) -> Best:
        """The recommended weights and how sure they are. Read from the study's folder if nothing has changed.

        Raises:
            TooFewTrialsError: If too few trials are completed.
        """
        return self._recommendation()[0]

    def surface(self) -> Surface:
        """The posterior over the simplex, for plots.

        Raises:
            TooFewTrialsError: If too few trials are completed.
        """
        return self._recommendation()[1]

    def _recommendation(self) -> tuple[Best, Surface]:
        stored = read_recommendation(self._folder)
        if stored is None:
            self._ledger.refresh()
            stored = recommend(self._ledger.experiment, self._config)
            write_recommendation(self._folder, self._config, *stored)
        return stored

    def trials(self) -> "pd.DataFrame":
        """One row per trial: index, status, `w_*`, training parameters, outcome, and where it comes from."""
        return trials_frame(self._config, self._folder.records())

    def results(self) -> dict[int, list[TrialResult]]:
        """What the inner loop returned for each completed trial that the study ran, one result per seed."""
        return self._folder.results()

    def credit_similarity(self, results: Mapping[int, Sequence[TrialResult]] | None = None) -> CreditSimilarity | None:
        """How alike the components pay, on the first explained responses; None before there are any.

        Args:
            results: Of `results()`, so that they are not read again.
        """
        return self._folder.credit_similarity(results)

    def curves(self, results: Mapping[int, Sequence[TrialResult]] | None = None) -> dict[int, list[CurvePoint]]:
        """The learning curve of each trial that was completed or stopped, as far as it went: the mean over its seeds.

        Args:
            results: What `results` gave, if that was read already.
        """
        return self._folder.curves(results)

    def shaping_function(self) -> "ShapingFunction":
        """The learned mixture, for your own PPO or GRPO loop; its `evidence` goes with it when it is saved.

        Raises:
            TooFewTrialsError: If too few trials are completed.
        """
        from inner_loop import ShapingFunction

        best, config = self.best(), self._config
        return ShapingFunction(
            weights=best.weights,
            attribution=with_parameters(config.ppo, config.attribution, best.parameters)[1],
            gamma=self._config.ppo.gamma,
            reward_model=self._config.task.reward_model,
            scoring=self._config.task.scoring,
            evidence=evidence_of(self._config, best),
        )
