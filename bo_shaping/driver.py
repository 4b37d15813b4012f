"""The loop that drives a study: propose, save, start, wait, import. One process per study runs it, under the lock.

The order is what makes a study survive `kill -9`: a trial is in the database before its worker starts, its result is
a file before the database hears of it, and every step can be repeated. Workers are told apart by folder, and a folder
runs one job once.
"""

import math
import time
from collections.abc import Callable

import numpy as np
from ax.api.client import Client
from ax.core.base_trial import BaseTrial
from ax.core.trial_status import TrialStatus

from bo_shaping.config import StudyConfig
from bo_shaping.database import Database, write_snapshot
from bo_shaping.errors import TrialResultError
from bo_shaping.executors import Executor
from bo_shaping.executors.folder import Job, TrialFolder
from bo_shaping.generation import must_wait, propose
from bo_shaping.outcomes import outcome_data, seed_values
from bo_shaping.search_space import from_arm, to_specs
from bo_shaping.store import StudyFolder, TrialRecord

POLL_SECONDS = 0.2
AX_REASON_LENGTH = 100
MAX_STARTS = 2
"""Times a driver starts a worker that dies without a word before it calls the trial failed."""


class Driver:
    """Runs trials of one study until it has as many as asked for."""

    def __init__(
        self, folder: StudyFolder, config: StudyConfig, client: Client, database: Database, executor: Executor
    ) -> None:
        self._folder = folder
        self._config = config
        self._client = client
        self._database = database
        self._executor = executor
        self._starts: dict[int, int] = {}

    @property
    def _trials(self) -> dict[int, BaseTrial]:
        trials: dict[int, BaseTrial] = self._client._experiment.trials
        return trials

    @property
    def _running(self) -> list[int]:
        return sorted(index for index, trial in self._trials.items() if trial.status == TrialStatus.RUNNING)

    def run(self, n_trials: int, on_change: Callable[[], None]) -> None:
        """Drive the study until it has `n_trials` trials in all and none is running.

        On `KeyboardInterrupt` the workers are stopped; their trials stay running in the database, and the next run
        starts them again with the same arms.

        Args:
            n_trials: Trials in all, those of earlier runs and failed ones included.
            on_change: Called at every poll, for a live view.
        """
        try:
            self._reconcile()
            while True:
                self._collect()
                while (
                    len(self._running) < self._config.budget.parallel
                    and len(self._trials) < n_trials
                    and not must_wait(self._client._experiment, self._config)
                ):
                    index = propose(self._client, self._config)
                    self._save(index)
                    self._start(index)
                    on_change()
                    self._collect()
                on_change()
                if not self._running:
                    break
                time.sleep(POLL_SECONDS)
        except KeyboardInterrupt:
            for index in self._running:
                self._executor.stop(self._folder.trial(index))
            raise

    def _reconcile(self) -> None:
        """Bring the trial folders in line with the database; what nobody is working on is then found dead."""
        records = {record.index: record for record in self._folder.records()}
        for index, trial in sorted(self._trials.items()):
            if trial.status == TrialStatus.RUNNING:
                if index not in records:
                    self._record(index)
                self._prepare(index)
            elif index not in records or records[index].status == "running":
                self._record(index)

    def _collect(self) -> None:
        """Import every trial that has ended."""
        for index in self._running:
            trial = self._folder.trial(index)
            state = self._executor.state(trial)
            if state == "finished":
                self._complete(index, trial)
            elif state == "failed":
                self._fail(index, trial.failure_reason())
            elif state == "dead" and self._starts.get(index, 0) < MAX_STARTS:
                self._start(index)
            elif state == "dead":
                self._fail(index, f"the worker died {MAX_STARTS} times without a result; see {trial.log_file}")

    def _prepare(self, index: int) -> None:
        trial = self._trials[index]
        specs = to_specs(self._config, trial.arm.parameters, trial.run_metadata["seeds"])
        job = Job.of(self._config.inner_loop, specs, self._config.threads_per_trial)
        self._folder.trial(index).prepare(job)

    def _start(self, index: int) -> None:
        self._starts[index] = self._starts.get(index, 0) + 1
        self._prepare(index)
        self._executor.start(self._folder.trial(index))

    def _complete(self, index: int, trial: TrialFolder) -> None:
        try:
            results = trial.results()
            data = outcome_data(self._config, results)
        except TrialResultError as error:
            self._fail(index, str(error))
            return
        self._trials[index].update_run_metadata({"values": seed_values(self._config, results)})
        self._client.complete_trial(index, raw_data=data)
        self._save(index)

    def _fail(self, index: int, reason: str) -> None:
        self._client.mark_trial_failed(index, failed_reason=ax_reason(reason))
        self._save(index, reason)

    def _save(self, index: int, reason: str | None = None) -> None:
        """Database first, then the files that are derived from it."""
        self._database.save_trials(self._client._experiment, [self._trials[index]])
        self._record(index, reason)
        write_snapshot(self._client._experiment, self._folder.snapshot_file)

    def _record(self, index: int, reason: str | None = None) -> None:
        self._folder.write_record(record_of(self._trials[index], self._folder.trial(index), reason))


def ax_reason(reason: str) -> str:
    """A failure reason as Ax can take it: its column is short, and its summary puts it into HTML as it is."""
    return reason.translate({ord("<"): "(", ord(">"): ")"})[:AX_REASON_LENGTH]


def record_of(trial: BaseTrial, folder: TrialFolder, reason: str | None = None) -> TrialRecord:
    """The record of a trial as the database knows it, with the numbers of its result file.

    `reason` is the full one where it is known; the database has the beginning.
    """
    weights, parameters = from_arm(trial.arm.parameters)
    if trial.status == TrialStatus.COMPLETED:
        results = folder.results()
        means = [result.mean for result in results]
        return TrialRecord(
            index=trial.index,
            status="completed",
            weights=weights,
            parameters=parameters,
            mean=float(np.mean(means)),
            sem=results[0].sem if len(results) == 1 else _sem(means),
            kl=float(np.mean([result.kl for result in results])),
            seconds=sum(sum(result.seconds.values()) for result in results),
        )
    failed = trial.status == TrialStatus.FAILED
    return TrialRecord(
        index=trial.index,
        status="failed" if failed else "running",
        weights=weights,
        parameters=parameters,
        reason=(reason or trial.status_reason) if failed else None,
    )


def _sem(values: list[float]) -> float:
    return float(np.std(values, ddof=1) / math.sqrt(len(values)))
