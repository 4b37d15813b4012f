"""What a report is made of: read once from a study, and shown by pages, figures and notebooks alike."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pandas as pd

from bo_shaping.errors import TooFewTrialsError
from bo_shaping.views.report.trial_frame import WEIGHT_PREFIX, Landmarks, component_names, find_landmarks
from bo_shaping.views.report.verdict import Verdict, judge
from bo_shaping.views.unread import unread_of_study
from inner_loop.spec import CurvePoint, ExplainedResponse, TrialResult
from inner_loop.spec.credit_similarity import CreditSimilarity

if TYPE_CHECKING:
    from bo_shaping.config import StudyConfig
    from bo_shaping.study import Study
    from bo_shaping.surrogate.fit import Fit
    from bo_shaping.surrogate.recommendation import Best, Surface


@dataclass(frozen=True)
class Material:
    """A study as pictures and tables need it."""

    name: str
    config: "StudyConfig"
    trials: pd.DataFrame
    """One row per trial, as `Study.trials` returns it."""
    results: Mapping[int, Sequence[TrialResult]]
    """One list per trial, over its seeds."""
    curves: Mapping[int, Sequence[CurvePoint]]
    """Trial index -> its learning curve, the mean over its seeds."""
    best: "Best | None"
    """None before there are trials enough for a recommendation."""
    surface: "Surface | None"
    similarity: CreditSimilarity | None
    """How alike the components pay, as far as responses were explained."""
    landmarks: Landmarks
    """The trials that pictures name."""
    verdict: Verdict
    kl_budget: float | None
    """Largest KL allowed, None for no budget."""
    kl_held: bool
    """Whether trainings stop at the budget: then none is over it but by what its last step added."""
    reward: str
    """What the study maximises, in words."""
    bounds: Mapping[str, tuple[float, float]]
    """Searched range of each training parameter that has one."""

    @property
    def kl_limit(self) -> float | None:
        """The KL that a trial may be over; None for none, or where trainings stop at the budget."""
        return None if self.kl_held else self.kl_budget

    @property
    def fit(self) -> "Fit | None":
        """How well the surrogate predicts; None before there is one."""
        return self.surface.fit if self.surface else None

    @property
    def ends(self) -> dict[int, float]:
        """What completed trials were worth, by index."""
        done = self.trials[self.trials["status"] == "completed"]
        return dict(zip(done["index"].astype(int), done["mean"].astype(float), strict=True))

    @property
    def samples(self) -> list[ExplainedResponse]:
        """Explained responses of the highlighted trial, of its first seed."""
        chosen = self.results.get(self.landmarks.chosen, []) if self.landmarks.chosen is not None else []
        return list(chosen[0].samples) if chosen else []

    @property
    def chosen_weights(self) -> dict[str, float]:
        """The mixing weights of the highlighted trial; none before there is one."""
        rows = self.trials[self.trials["index"] == self.landmarks.chosen]
        return {name: float(rows[WEIGHT_PREFIX + name].iloc[0]) for name in component_names(self.trials) if len(rows)}


def material_of(study: "Study") -> Material:
    """Read a study of any age; only read."""
    trials, results, objective = study.trials(), study.results(), study.config.objective
    curves = study.curves(results)
    kl_held = objective.held_kl is not None
    kl_limit = None if kl_held else objective.max_kl
    best, surface = _recommendation(study)
    similarity = study.credit_similarity(results)
    unread = unread_of_study(results, study.config.task.long_responses)
    warnings = [
        *(similarity.warnings() if similarity else []),
        *([unread] if unread else []),
        *(f"Noted {note}" for note in study.folder.notes()),
    ]
    landmarks = find_landmarks(trials, best.nearest_trial if best else None, kl_limit)
    return Material(
        name=study.name,
        config=study.config,
        trials=trials,
        results=results,
        curves=curves,
        best=best,
        surface=surface,
        similarity=similarity,
        landmarks=landmarks,
        verdict=judge(trials, results, best, landmarks, warnings, curves=curves, kl_limit=kl_limit),
        kl_budget=objective.max_kl,
        kl_held=kl_held,
        reward=objective.reward_in_words,
        bounds={name: space.bounds for name, space in study.config.search_space.ranges.items()},
    )


def _recommendation(study: "Study") -> "tuple[Best | None, Surface | None]":
    try:
        return study.best(), study.surface()
    except TooFewTrialsError:
        return None, None
