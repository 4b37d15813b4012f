"""Drives a study: propose, write down, start, wait, import. One process per study runs it, under the lease.

The order is what makes a study survive `kill -9`: a trial is in the journal before its worker starts, its result is a
file before the journal hears of it, and every step can be repeated. Workers are told apart by folder, and a folder
runs one job once.
"""

import time
from collections import Counter
from collections.abc import Callable

from bo_shaping.config import StudyConfig
from bo_shaping.errors import StopRequested, TooFewTrialsError, TooManyFailuresError, TrialResultError
from bo_shaping.executors import Executor
from bo_shaping.generation.design import initial_design
from bo_shaping.generation.early_stopping import trials_to_stop
from bo_shaping.generation.replicates import must_wait
from bo_shaping.running.transitions import completed, failed, stopped
from bo_shaping.space.arms import to_specs
from bo_shaping.storage.ledger import Ledger
from bo_shaping.storage.records import Entry
from bo_shaping.storage.study_folder import StudyFolder
from bo_shaping.storage.trial_folder import Job, TrialFolder
from bo_shaping.surrogate.recommend import should_stop
from bo_shaping.tracking import Feed
from inner_loop.spec import TrialProgress

POLL_SECONDS = 0.2
MIN_ENDED = 5
"""Trials that must have ended before the share of failed ones means anything."""


class Driver:
    """Runs trials of one study until it has as many as asked for. The ledger must be held (`Ledger.driven`)."""

    def __init__(self, folder: StudyFolder, config: StudyConfig, ledger: Ledger, executor: Executor) -> None:
        self._folder = folder
        self._config = config
        self._ledger = ledger
        self._executor = executor
        self._ended: Counter[str] = Counter()
        self._last_reason = ""
        self._enough: tuple[int, str | None] | None = None
        self._n_points: dict[int, int] = {}
        # Several polls a second ask which trials run, among hundreds that have ended.
        self._seen: dict[int, Entry] | None = None
        self._are_running: list[int] = []
        self._has_similarity = False
        self._feed = Feed(folder, config)

    @property
    def _running(self) -> list[int]:
        entries = self._ledger.entries
        if entries is not self._seen:
            self._seen = entries
            self._are_running = [index for index, entry in entries.items() if entry.record.status == "running"]
        return self._are_running

    def run(self, n_trials: int, on_change: Callable[[], None]) -> None:
        """Drive the study until it has `n_trials` trials in all and none is running.

        On `KeyboardInterrupt`, and when somebody asks for it, the workers are stopped; their trials stay running in the
        journal, and the next run starts them again with the same arms.

        Args:
            n_trials: Trials in all, those of earlier runs and failed ones included.
            on_change: Called at every poll, for a live view.
        """
        try:
            self._reattach()
            while True:
                self._collect()
                self._stop_what_lags()
                while self._wants_more(n_trials):
                    self._begin()
                    on_change()
                    self._collect()
                self._feed.look(self._ledger.entries)
                on_change()
                if not self._running:
                    break
                self._obey_stop()
                time.sleep(POLL_SECONDS)
        except KeyboardInterrupt:
            # Workers of a study that was taken over belong to somebody else.
            self._folder.journal.check()
            for index in self._running:
                self._executor.stop(self._folder.trial(index))
            raise
        finally:
            self._executor.close()
            self._feed.close()
        if len(self._ledger.entries) < n_trials and self._has_failed_too_often():
            raise TooManyFailuresError(
                f"{self._ended['failed']} of {self._ended.total()} trials of this run failed, the last one with: "
                f"{self._last_reason}. See to the cause (bo-shaping logs {self._folder.handle} TRIAL), then: "
                f"bo-shaping resume {self._folder.handle}"
            )

    def _wants_more(self, n_trials: int) -> bool:
        self._obey_stop()
        entries = self._ledger.entries
        return (
            len(entries) < n_trials
            and len(self._running) < self._config.budget.parallel
            and not must_wait(self._ledger.experiment, self._config)
            and not self._has_failed_too_often()
            and not self._knows_enough()
        )

    def _obey_stop(self) -> None:
        if self._folder.is_stop_requested():
            raise StopRequested

    def _has_failed_too_often(self) -> bool:
        n_ended, n_failed = self._ended.total(), self._ended["failed"]
        return n_ended >= MIN_ENDED and n_failed > self._config.budget.max_failures * n_ended

    def _knows_enough(self) -> bool:
        """Whether the expected regret of the recommendation is as small as the budget asks for."""
        if self._config.budget.stop_when_regret_below is None:
            return False
        n_known = sum(entry.record.status in ("completed", "stopped") for entry in self._ledger.entries.values())
        if self._enough is None or self._enough[0] != n_known:
            try:
                self._enough = (
                    n_known,
                    should_stop(self._ledger.experiment, self._config, len(initial_design(self._config))),
                )
            except TooFewTrialsError:
                return False
        return self.why_enough is not None

    @property
    def why_enough(self) -> str | None:
        """Why the study ended before its budget was spent; None if nothing says that enough is known."""
        return self._enough[1] if self._enough else None

    def _begin(self) -> None:
        """The next trial: chosen, written down, started."""
        self._start(self._ledger.propose("running").record.index)

    def _reattach(self) -> None:
        """Find the trials that an earlier driver left running; those that nobody works on are started again.

        That is no attempt: not the trial but its driver, or the machine, has ended.
        """
        for index in self._running:
            trial, job = self._folder.trial(index), self._job(index)
            if trial.has_other_job(job):
                # The configuration was changed. A worker that goes on with the job as it was would end in its place.
                self._executor.stop(trial)
            trial.prepare(job)
            if self._executor.state(trial) == "dead":
                self._executor.start(trial)
        for index, entry in self._ledger.entries.items():
            # Killed after the trial was written down as stopped, and before its worker was.
            if entry.record.status == "stopped" and self._executor.state(self._folder.trial(index)) != "dead":
                self._executor.stop(self._folder.trial(index))

    def _collect(self) -> None:
        """Import every trial that has ended, and see to workers that died or hang."""
        for index in self._running:
            trial = self._folder.trial(index)
            self._has_similarity = self._has_similarity or self._folder.keep_similarity(
                trial, self._config.search_space.components
            )
            state = self._executor.state(trial)
            if state == "finished":
                self._complete(index, trial)
            elif state == "failed":
                self._fail(index, self._executor.reason(trial))
            elif state in ("dead", "hung"):
                self._try_again(index, trial)

    def _stop_what_lags(self) -> None:
        """End the trials whose learning curves have fallen behind."""
        running = self._running
        if self._config.early_stopping is None or not self._have_new_points(running):
            return
        for index, reason in trials_to_stop(self._ledger.client, self._config, set(running)).items():
            trial = self._folder.trial(index)
            if trial.is_done():
                # It got there while the curves were compared. A result that comes later than this does not count.
                continue
            self._ledger.write(stopped(self._config, self._ledger.entries[index], _curve(trial), reason))
            self._ended["stopped"] += 1
            self._executor.stop(trial)

    def _have_new_points(self, running: list[int]) -> bool:
        """Show Ax the learning curves so far; they are written down when a trial ends."""
        is_new = False
        for index in running:
            curve = _curve(self._folder.trial(index))
            if self._n_points.get(index) != len(curve):
                self._n_points[index], is_new = len(curve), True
                self._ledger.show_curve(index, curve)
        return is_new

    def _try_again(self, index: int, trial: TrialFolder) -> None:
        entry = self._ledger.entries[index]
        reason = self._executor.reason(trial)
        self._executor.stop(trial)
        if trial.is_done():
            # It got there before it was stopped.
            return
        if entry.record.attempt > self._config.workers.retries:
            times = f"{entry.record.attempt} times" if entry.record.attempt > 1 else "once"
            self._fail(index, f"tried {times}: {reason}")
            return
        update = {"attempt": entry.record.attempt + 1, "earlier": (*entry.record.earlier, reason)}
        self._ledger.write(entry.model_copy(update={"record": entry.record.model_copy(update=update)}))
        self._start(index)

    def _job(self, index: int) -> Job:
        entry = self._ledger.entries[index]
        specs = to_specs(self._config, entry.arm, list(entry.record.seeds))
        return Job.of(self._config.inner_loop, specs)

    def _start(self, index: int) -> None:
        trial = self._folder.trial(index)
        trial.prepare(self._job(index))
        # Before it is started: the inline executor returns when the trial has ended.
        self._feed.look(self._ledger.entries)
        self._executor.start(trial)

    def _complete(self, index: int, trial: TrialFolder) -> None:
        try:
            entry = completed(self._config, self._ledger.entries[index], trial.results())
        except TrialResultError as error:
            self._fail(index, str(error))
            return
        self._ended["completed"] += 1
        self._ledger.write(entry)

    def _fail(self, index: int, reason: str) -> None:
        self._ended["failed"] += 1
        self._last_reason = reason
        self._ledger.write(failed(self._ledger.entries[index], reason))


def _curve(trial: TrialFolder) -> list[TrialProgress]:
    """The points of a trial's learning curves so far."""
    return [event.progress for event in trial.events() if event.progress.point is not None]
