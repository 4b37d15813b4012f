"""A study: launch it, run it, load it again, and ask what it learned."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from ax.api.client import Client

from bo_shaping.config import DEFAULT_INNER_LOOP, StudyConfig
from bo_shaping.database import Database, write_snapshot
from bo_shaping.driver import Driver, ax_reason
from bo_shaping.errors import StorageError, StudyExistsError, TrialResultError
from bo_shaping.executors import make_executor
from bo_shaping.executors.folder import write_atomically
from bo_shaping.executors.worker import import_inner_loop
from bo_shaping.generation import fit_strategy, new_client, new_experiment
from bo_shaping.outcomes import outcome_data
from bo_shaping.posterior import recommend
from bo_shaping.recommendation import Best, Surface, read_recommendation, write_recommendation
from bo_shaping.search_space import to_arm
from bo_shaping.store import StudyFolder, find_study, studies_root, without_password
from inner_loop.spec import TrialResult

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

    def __init__(self, folder: StudyFolder, config: StudyConfig, client: Client, database: Database) -> None:
        self._folder = folder
        self._config = config
        self._client = client
        self._database = database
        self._is_checked = False

    @classmethod
    def launch(cls, config: StudyConfig) -> "Study":
        """Create a study in the folder of studies; `run` then spends its budget.

        Raises:
            StudyExistsError: If there is one of that name.
            TaskError: If the task cannot be set up.
            ConfigError: If the inner loop cannot be imported.
        """
        folder = StudyFolder((studies_root() / config.name).resolve())
        _refuse_existing(folder)
        _check_inner_loop(config)
        config = _with_absolute_folders(config)
        folder.path.mkdir(parents=True, exist_ok=True)
        with folder.driver_lock():
            _refuse_existing(folder)
            # The configuration comes last: a folder without it is not a study yet, only the rest of a killed launch.
            folder.database_file.unlink(missing_ok=True)
            database = _database(folder, config)
            experiment = new_experiment(config)
            database.create(experiment)
            client = new_client(experiment)
            write_snapshot(experiment, folder.snapshot_file)
            write_atomically(folder.config_file, config.to_yaml())
        study = cls(folder, config, client, database)
        study._is_checked = True
        return study

    @classmethod
    def load(cls, name_or_path: str | Path) -> "Study":
        """An existing study, by name, by folder, or by storage URL.

        Raises:
            StudyNotFoundError: If there is none.
            StorageError: If its database cannot be read; `Study.rebuild` is the remedy.
        """
        folder = find_study(name_or_path)
        config = folder.config()
        database = _database(folder, config)
        if config.storage is None and not folder.database_file.exists():
            raise StorageError(f"{folder.database_file} is missing; {_remedy(folder)}")
        return cls(folder, config, new_client(database.load(config.name)), database)

    @classmethod
    def rebuild(cls, name_or_path: str | Path) -> "Study":
        """An existing study whose SQLite database is lost or damaged, rebuilt from its trial folders.

        The damaged file is kept beside the new one as `study.db.damaged`.

        Raises:
            StorageError: If a trial folder is missing too.
        """
        folder = find_study(name_or_path)
        config = folder.config()
        if config.storage is not None:
            raise StorageError(
                f"Only a study with its own SQLite file can be rebuilt; this one is in "
                f"{without_password(config.storage)}."
            )
        with folder.driver_lock():
            experiment = new_experiment(config)
            client = new_client(experiment)
            for expected, record in enumerate(folder.records()):
                if record.index != expected:
                    raise StorageError(f"The study cannot be rebuilt: trial folder {expected:04d} is missing.")
                arm = to_arm(record.weights, record.parameters)
                index = client.attach_trial(arm)
                if record.status == "completed":
                    _complete_or_fail(client, config, folder, index)
                elif record.status == "failed":
                    client.mark_trial_failed(index, failed_reason=ax_reason(record.reason or ""))
            _set_aside(folder.database_file)
            database = _database(folder, config)
            database.create(experiment)
            write_snapshot(experiment, folder.snapshot_file)
        return cls(folder, config, client, database)

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
        """The real Ax client, with all trials and our generation strategy; what you change in it is not saved."""
        fit_strategy(self._client, self._config.seed)
        return self._client

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
            _check_inner_loop(self._config)
            self._is_checked = True
        with self._folder.driver_lock():
            # Another process may have driven it since it was loaded.
            self._client = new_client(self._database.load(self._config.name))
            n_known = len(self._client._experiment.trials)
            total = self._config.budget.trials if n_trials is None else n_known + n_trials
            executor = make_executor(self._config.executor)
            Driver(self._folder, self._config, self._client, self._database, executor).run(total, on_change)

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
            stored = recommend(self._client._experiment, self._config)
            write_recommendation(self._folder, *stored)
        return stored

    def trials(self) -> "pd.DataFrame":
        """One row per trial: index, status, `w_*`, training parameters, mean, sem, kl, reason, seconds."""
        import pandas as pd

        space = self._config.search_space
        extra = list(space.parameters)
        columns = ["index", "status", *(f"w_{name}" for name in space.components), *extra]
        columns += ["mean", "sem", "kl", "reason", "seconds"]
        rows = [
            {**record.model_dump(exclude={"weights", "parameters"}), **to_arm(record.weights, record.parameters)}
            for record in self._folder.records()
        ]
        frame = pd.DataFrame(rows, columns=columns)
        numeric = [name for name in columns if name not in ("index", "status", "reason")]
        return frame.astype(dict.fromkeys(numeric, float))

    def results(self) -> dict[int, TrialResult]:
        """What the inner loop returned for each completed trial; the first seed's where there are replicates."""
        return {
            record.index: self._folder.trial(record.index).results()[0]
            for record in self._folder.records()
            if record.status == "completed"
        }

    def shaping_function(self) -> "ShapingFunction":
        """The learned mixture, for your own PPO or GRPO loop.

        Raises:
            TooFewTrialsError: If too few trials are completed.
        """
        from inner_loop import ShapingFunction

        return ShapingFunction(
            weights=self.best().weights,
            attribution=self._config.attribution,
            gamma=self._config.ppo.gamma,
            reward_model=self._config.task.reward_model,
            chat_template=self._config.task.chat_template,
        )


def _database(folder: StudyFolder, config: StudyConfig) -> Database:
    if config.storage is None:
        return Database(f"sqlite:///{folder.database_file}", _remedy(folder))
    return Database(config.storage, f"see to the database, or give the study another name than {config.name!r}")


def _complete_or_fail(client: Client, config: StudyConfig, folder: StudyFolder, index: int) -> None:
    """One damaged result must not stand in the way of the others."""
    try:
        client.complete_trial(index, raw_data=outcome_data(config, folder.trial(index).results()))
    except TrialResultError as error:
        client.mark_trial_failed(index, failed_reason=ax_reason(str(error)))
        record = next(record for record in folder.records() if record.index == index)
        folder.write_record(
            record.model_copy(update={"status": "failed", "reason": str(error), "mean": None, "sem": None, "kl": None})
        )


def _set_aside(database_file: Path) -> None:
    """Rename an SQLite file, with its journal, so that SQLite still finds them together and nothing is overwritten."""
    attempt, kept = 1, database_file.with_name(f"{database_file.name}.damaged")
    while kept.exists():
        attempt += 1
        kept = database_file.with_name(f"{database_file.name}.damaged{attempt}")
    for suffix in ("", "-wal", "-shm"):
        file = database_file.with_name(database_file.name + suffix)
        if file.exists():
            file.replace(kept.with_name(kept.name + suffix))


def _with_absolute_folders(config: StudyConfig) -> StudyConfig:
    """Folders of the task as absolute paths: a study may be resumed from anywhere."""
    fields = ("policy", "reward_model", "prompts")
    folders = {field: Path(getattr(config.task, field)).expanduser() for field in fields}
    absolute = {field: str(folder.resolve()) for field, folder in folders.items() if folder.is_dir()}
    return config.model_copy(update={"task": config.task.model_copy(update=absolute)})


def _refuse_existing(folder: StudyFolder) -> None:
    if folder.config_file.exists():
        raise StudyExistsError(
            f"Study {folder.path.name!r} already exists in {folder.path}; continue it with: "
            f"bo-shaping resume {folder.handle}"
        )


def _remedy(folder: StudyFolder) -> str:
    return f"rebuild it from the finished trials with: bo-shaping resume {folder.handle} --rebuild"


def _check_inner_loop(config: StudyConfig) -> None:
    """Find out before the first trial what would make every trial fail."""
    if config.inner_loop == DEFAULT_INNER_LOOP:
        from inner_loop.task import check_task

        check_task(config.task, config.evaluation)
    else:
        import_inner_loop(config.inner_loop)
