"""What the pages and pictures of one study are made of, read from its files at one moment."""

from dataclasses import dataclass, replace
from functools import cached_property
from statistics import fmean
from typing import TYPE_CHECKING

from bo_shaping.config import StudyConfig
from bo_shaping.dashboard.watched_folder import WatchedFolder
from bo_shaping.errors import TrialResultError
from bo_shaping.storage.recommendation_file import read_recommendation
from bo_shaping.storage.trials_frame import trials_frame
from bo_shaping.views.report.trial_frame import Landmarks, find_landmarks
from bo_shaping.views.report.verdict import Verdict, judge
from bo_shaping.views.status import StudyStatus, TrialStatus, study_status
from inner_loop.spec import CurvePoint, TrialResult
from inner_loop.spec.credit_similarity import CreditSimilarity

if TYPE_CHECKING:
    import pandas as pd

    from bo_shaping.surrogate.recommendation import Best, Surface


@dataclass(frozen=True)
class StudyView:
    """One study at one moment; what takes time is read when it is asked for."""

    name: str
    """Of its folder."""
    folder: WatchedFolder
    config: StudyConfig
    status: StudyStatus
    best: "Best | None"
    """The stored recommendation, if it rests on all trials: it is made by whoever drives the study, never here."""
    surface: "Surface | None"
    notes: list[str]
    """What people wrote down."""

    @classmethod
    def of(cls, folder: WatchedFolder) -> "StudyView":
        """Read a study.

        Raises:
            BoShapingError: If a file of it was damaged.
        """
        with folder.lock:
            config, stored = folder.config(), read_recommendation(folder)
            best, surface = stored if stored is not None else (None, None)
            return cls(folder.path.name, folder, config, study_status(folder), best, surface, folder.notes())

    @property
    def trials(self) -> list[TrialStatus]:
        """All trials, in the order of their indices."""
        return self.status.trials

    @property
    def kl_limit(self) -> float | None:
        """The KL over which a trial is not allowed; None where trainings stop there, and so are never over it."""
        objective = self.config.objective
        return None if objective.held_kl is not None else objective.max_kl

    @property
    def state(self) -> str:
        """`running`, `interrupted`, `finished` or `unfinished`."""
        if self.status.driver is not None:
            return "running"
        if self.status.count("interrupted") or self.status.count("running"):
            return "interrupted"
        return "finished" if len(self.trials) >= self.status.budget else "unfinished"

    @cached_property
    def frame(self) -> "pd.DataFrame":
        """One row per trial, as `Study.trials` has it."""
        return trials_frame(self.config, [trial.record for trial in self.trials])

    @cached_property
    def landmarks(self) -> Landmarks:
        """The trials worth naming."""
        return find_landmarks(self.frame, self.best.nearest_trial if self.best else None, self.kl_limit)

    @cached_property
    def similarity(self) -> CreditSimilarity | None:
        """How alike the components pay."""
        with self.folder.lock:
            return self.folder.credit_similarity()

    @cached_property
    def verdict(self) -> Verdict:
        """What was found, in words: the report's own."""
        marks = self.landmarks
        named = [index for index in (marks.chosen, marks.corners.get("sparse")) if index is not None]
        with self.folder.lock:
            results = self.folder.results(named)
        warnings = self.similarity.warnings() if self.similarity else []
        verdict = judge(self.frame, results, self.best, marks, warnings, curves=self.curves, kl_limit=self.kl_limit)
        # What people wrote down stands there also before there is a recommendation to warn of.
        return replace(verdict, notes=[*verdict.notes, *(f"Noted {note}" for note in self.notes)])

    @cached_property
    def curves(self) -> dict[int, list[CurvePoint]]:
        """Learning curves of trials that have ended."""
        with self.folder.lock:
            return self.folder.known_curves()

    @cached_property
    def running_curves(self) -> dict[int, list[CurvePoint]]:
        """Those of trials that have not."""
        with self.folder.lock:
            return self.folder.running_curves()

    def trial(self, index: int) -> TrialStatus | None:
        """That trial, or None."""
        return next((trial for trial in self.trials if trial.record.index == index), None)

    def results(self, index: int) -> list[TrialResult]:
        """The results of a trial, one per seed; none if there are none, or if they were damaged."""
        folder = self.folder.trial(index)
        try:
            return folder.results() if folder.has_result() else []
        except TrialResultError:
            return []

    def seconds_left(self) -> float | None:
        """How long the rest of the budget may take, from what the trials took so far; None without a ground for it."""
        took = [t.record.seconds for t in self.trials if t.status == "completed" and t.record.seconds is not None]
        if not took or self.status.driver is None:
            return None
        ended = sum(trial.status in ("completed", "stopped", "failed") for trial in self.trials)
        begun = sum(trial.done for trial in self.trials if trial.status == "running")
        return max(self.status.budget - ended - begun, 0.0) * fmean(took) / self.config.budget.parallel
