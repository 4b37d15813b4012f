"""The sections of a report that say what to believe and what it cost: each some sentences, and a picture for most."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pandas as pd
from matplotlib.figure import Figure

from bo_shaping.config.searched_parameter import Value
from bo_shaping.config.sections import EarlyStoppingConfig
from bo_shaping.text.escaping import escape
from bo_shaping.views.report.cost import cost_of, cost_sentences
from bo_shaping.views.report.early_stopping import replay, replay_sentences
from bo_shaping.views.report.importance import importance_html
from bo_shaping.views.report.kl_law import fit_kl_law, kl_law_figure, kl_law_sentences
from bo_shaping.views.report.material import Material
from bo_shaping.views.report.prediction import prediction_figure, prediction_sentences
from bo_shaping.views.report.repeats import noise_sentences, repeats_of
from bo_shaping.views.report.shorter_trials import (
    rank_correlation,
    rank_correlation_figure,
    rank_correlation_sentences,
)
from bo_shaping.views.report.style import data_url
from bo_shaping.views.report.trial_frame import WEIGHT_PREFIX, component_names, extra_parameters

if TYPE_CHECKING:
    from bo_shaping.surrogate.fit import Fit

MAY_BE_STOPPED = ("model", "random")
"""Origins of trials that early stopping may end."""
SAME_ARM_DIGITS = 6
"""Digits to which two arms agree that count as one."""


@dataclass(frozen=True)
class Check:
    """One section."""

    name: str
    """Of its picture's file."""
    title: str
    sentences: list[str]
    figure: Figure | None = None
    alt: str = ""
    """What the picture shows, for whoever cannot see it."""
    html: str = ""
    """More of it, with every text that is not ours escaped."""


def checks_of(data: Material) -> list[Check]:
    """The sections for which the study has data."""
    made: list[Callable[[Material], Check | None]] = [_importance, _noise, _prediction, _shorter, _kl_law, _cost]
    return [check for make in made if (check := make(data)) is not None]


def checks_html(checks: Sequence[Check], pictures: Mapping[str, bytes]) -> str:
    """The sections; `pictures` has PNG files by name."""
    return "".join(_section(check, pictures.get(check.name)) for check in checks)


def _section(check: Check, png: bytes | None) -> str:
    words = "".join(f"<p>{escape(sentence)}</p>" for sentence in check.sentences)
    picture = f'<img alt="{escape(check.alt)}" src="{data_url(png)}">' if png is not None else ""
    return (
        f'<section id="{check.name}"><h2>{escape(check.title)}</h2>'
        f'<div class="check"><div>{words}{check.html}</div>{picture}</div></section>'
    )


def _importance(data: Material) -> Check | None:
    html = importance_html(data.best) if data.best is not None else ""
    return Check("importance", "What matters", [], html=html) if html else None


def _noise(data: Material) -> Check | None:
    if data.best is None or data.fit is None or len(data.fit.predictions) < 2:
        return None
    sentences = noise_sentences(data.fit, data.best, repeats_of(_by_arm(data.trials, data.fit)))
    return Check("noise", "How much of it is luck", sentences)


def _by_arm(trials: pd.DataFrame, fit: "Fit") -> list[list[float]]:
    """What the trainings of each arm were worth."""
    names = [WEIGHT_PREFIX + name for name in component_names(trials)] + extra_parameters(trials)
    table = trials[names].infer_objects().round(SAME_ARM_DIGITS).to_numpy()
    arms = {int(index): tuple(row) for index, row in zip(trials["index"], table, strict=True)}
    stopped = set(trials.loc[trials["status"] == "stopped", "index"])
    values: dict[tuple[Value, ...], list[float]] = {}
    for one in fit.predictions:
        if one.trial not in stopped:
            values.setdefault(arms[one.trial], []).append(one.measured)
    return list(values.values())


def _prediction(data: Material) -> Check | None:
    if data.fit is None or len(data.fit.predictions) < 2:
        return None
    return Check(
        "prediction",
        "Can the study predict its own trials?",
        prediction_sentences(data.fit),
        prediction_figure(data.fit, data.config.objective.reward_in_words),
        "Each training as predicted from all others against what was measured",
    )


def _shorter(data: Material) -> Check | None:
    found = rank_correlation(data.curves, data.ends)
    if found is None:
        return None
    rule = data.config.early_stopping or EarlyStoppingConfig()
    origins = data.trials["origin"].isin(MAY_BE_STOPPED)
    eligible = set(data.trials.loc[origins, "index"].astype(int))
    completed = {index: data.curves[index] for index in data.ends if index in data.curves}
    again = replay(completed, data.ends, eligible, rule)
    return Check(
        "shorter_trials",
        "How short may trials be?",
        [
            *rank_correlation_sentences(found),
            *replay_sentences(again, rule, is_on=data.config.early_stopping is not None),
        ],
        rank_correlation_figure(found),
        "Rank correlation of the learning curves with the end, by step",
    )


def _kl_law(data: Material) -> Check | None:
    law = fit_kl_law(data.curves)
    if law is None:
        return None
    return Check(
        "kl_law",
        "Reward for KL",
        [
            *kl_law_sentences(law),
            "The law is that of Gao and others (arXiv 2210.10760) for reward over-optimisation, where the "
            "reward is one "
            "that was not trained on. Here it is the one that was.",
        ],
        kl_law_figure(data.curves, law, data.kl_budget),
        "Reward against the square root of the KL, with the fitted law",
    )


def _cost(data: Material) -> Check | None:
    sentences = cost_sentences(cost_of(data.results))
    return Check("cost", "What it cost", sentences) if sentences else None
