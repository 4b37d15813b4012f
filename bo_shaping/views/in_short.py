"""The recommendation in one sentence that a colleague understands: what to use, what it gains, what could go."""

from collections.abc import Mapping, Sequence

from bo_shaping.config import StudyConfig
from bo_shaping.storage.best_sparse import best_sparse
from bo_shaping.storage.records import TrialRecord
from bo_shaping.storage.study_folder import StudyFolder
from bo_shaping.surrogate.recommendation import Best
from bo_shaping.text.wording import describe_value, describe_weights
from bo_shaping.views.equal_kl import speed
from inner_loop.spec import SPARSE, CurvePoint

SHOWN = 0.005
"""Weights below this round to nothing."""

WORDS = {"gae_lambda": "lambda", "kl_coef": "KL price", "max_units": "units at most"}
"""Parameters that are not said as they are named."""
LEVELS = {f"{unit}s": f"{unit}-level " for unit in ("token", "word", "span", "sentence", "turn")}
"""How units are said of credit; nothing is said where they depend on the response (`auto`)."""
UNITS = "units"
"""A parameter that is said of the mixture, where it is searched."""


def in_short(folder: StudyFolder, config: StudyConfig, best: Best, records: Sequence[TrialRecord]) -> str:
    """The sentence about a study, its learning curves read from its files."""
    sparse = next((record.index for record in best_sparse(records)), None)
    compared = [index for index in (best.nearest_trial, sparse) if index is not None]
    units = str(best.parameters.get(UNITS, config.attribution.units))
    return sentence(units, best, sparse, folder.curves(folder.results(compared)))


def sentence(units: str, best: Best, sparse: int | None, curves: Mapping[int, Sequence[CurvePoint]]) -> str:
    """'In short: span-level 0.75 shap + 0.25 sparse, lambda 0.83; trial 2, ...; leaving out lime costs nothing ...'.

    Args:
        units: What credit is given to, as `attribution.units` or the recommendation has it.
        best: The recommendation.
        sparse: A trial of sparse alone at its best.
        curves: Learning curves of that trial and of the one that is nearest to the recommendation, where there are any.
    """
    mixture = describe_weights(best.weights)
    pays_at_the_end = best.weights.get(SPARSE, 0.0) >= 1 - SHOWN
    what = mixture if pays_at_the_end else f"{LEVELS.get(units, '')}{mixture}"
    settings = [
        f"{WORDS.get(name, name.replace('_', ' '))} {describe_value(value, 2)}"
        for name, value in best.parameters.items()
        if name != UNITS or (units not in LEVELS and not pays_at_the_end)
    ]
    parts = [", ".join([what, *settings]), *_speed(best.nearest_trial, sparse, curves), *_superfluous(best)]
    return f"In short: {'; '.join(parts)}."


def _speed(chosen: int, sparse: int | None, curves: Mapping[int, Sequence[CurvePoint]]) -> list[str]:
    if sparse is None or chosen == sparse:
        return []
    found = speed(curves.get(chosen, []), curves.get(sparse, []))
    if found is None or not found.is_faster:
        return []
    return [
        f"trial {chosen}, the nearest, was at reward {found.reward:.2f} after {found.steps:.0f} steps, and sparse at "
        f"its best (trial {sparse}) after {found.other_steps:.0f}"
    ]


def _superfluous(best: Best) -> list[str]:
    """Components without which no loss is known; one at a time, since one may stand in for another."""
    names = [name for name, cost in best.leaving_out.items() if cost.mean <= cost.sd]
    if not names:
        return []
    listed = names[0] if len(names) == 1 else f"{', '.join(names[:-1])} or {names[-1]}"
    one = "" if len(names) == 1 else " (one of them)"
    return [f"leaving out {listed}{one} costs nothing that could be measured"]
