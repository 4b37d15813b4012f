"""Studies made up of plain data, in every state that a report must survive."""

import itertools
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd

from bo_shaping.config import StudyConfig
from bo_shaping.errors import TooFewTrialsError
from bo_shaping.storage.study_folder import StudyFolder
from bo_shaping.surrogate.recommendation import Best, FrontPoint, Surface
from inner_loop.attribution.credit import Credit
from inner_loop.credit_similarity import similarity_of_results
from inner_loop.spec import CurvePoint, ExplainedResponse, TrialResult
from inner_loop.spec.credit_similarity import CreditSimilarity

EVIL = "</script><img src=x onerror=alert(1)>\u202egnp\u200b[bold red]x[/bold red]"


@dataclass
class MadeUpStudy:
    """What `write_report` asks of a study."""

    path: Path
    name: str
    config: StudyConfig
    frame: pd.DataFrame
    outcomes: dict[int, TrialResult]
    recommendation: Best | None
    posterior: Surface | None

    @property
    def folder(self) -> StudyFolder:
        return StudyFolder(self.path)

    def trials(self) -> pd.DataFrame:
        return self.frame

    def results(self) -> dict[int, list[TrialResult]]:
        return {index: [result] for index, result in self.outcomes.items()}

    def curves(self, results: object = None) -> dict[int, list[CurvePoint]]:
        return {index: result.curve for index, result in self.outcomes.items()}

    def best(self) -> Best:
        if self.recommendation is None:
            raise TooFewTrialsError("too few")
        return self.recommendation

    def surface(self) -> Surface | None:
        return self.posterior

    def credit_similarity(self, results: object = None) -> CreditSimilarity | None:
        return similarity_of_results(self.config.search_space.components, self.results())


def make_result(mean: float, kl: float, n_steps: int = 10) -> TrialResult:
    curve = [
        CurvePoint(
            step=s, mean=mean * s / n_steps, sem=0.1, kl=kl * s / n_steps, kl_k3=1, entropy=2, length=9, distinct_2=1
        )
        for s in (0, n_steps // 2, n_steps)
    ]
    return TrialResult(
        mean=mean, sem=0.1, kl=kl, curve=curve, scores=[mean, mean + 1.0], steps=[], samples=[make_sample(mean)],
        seconds={"setup": 1.0}, peak_memory_mb=1.0, seed=0,
    )  # fmt: skip


def make_sample(score: float, tokens: tuple[str, ...] = (" good", " film", "")) -> ExplainedResponse:
    shap = [score - 0.5, 0.75, -0.25]
    sparse = [0.0, 0.0, score]
    mixture = [(a + b) / 2 for a, b in zip(shap, sparse, strict=True)]
    return ExplainedResponse(
        prompt="The " + EVIL, response="".join(tokens), score=score, base_value=-0.5, tokens=list(tokens),
        components={"shap": shap, "sparse": sparse}, rewards=mixture,
    )  # fmt: skip


def make_credit(
    prompt: str, response: str, values: Sequence[float] | None = None, *, methods: Sequence[str] = ("shapley",),
    exact: bool = False,
) -> Credit:  # fmt: skip
    """Words of the response, worth 0, 1/4, 2/4, ... unless told otherwise; each further method says the same less 1."""
    offsets = [match.span() for match in re.finditer(r"\s*\S+", response)]
    worths = np.arange(len(offsets)) / 4 if values is None else np.asarray(values)
    return Credit(
        prompt=prompt,
        response=response,
        offsets=offsets,
        base_value=-0.5,
        full_value=float(worths.sum()) - 0.5,
        values={method: worths - i for i, method in enumerate(methods)},
        std={method: np.full(len(offsets), 0.0 if exact else 0.0625) for method in methods},
        n_evaluations=2 ** len(offsets),
    )


def make_trials(components: tuple[str, ...], n_finished: int, n_failed: int) -> pd.DataFrame:
    """Corners first, then the centre: trial i has reward i and KL 2 i; failed ones come last."""
    weights = [*np.eye(len(components)), *[np.full(len(components), 1 / len(components))] * (n_finished + n_failed)]
    rows = [
        {"index": i, "status": "failed" if i >= n_finished else "completed"}
        | {f"w_{name}": float(weight) for name, weight in zip(components, weights[i], strict=True)}
        | {"gae_lambda": 0.9, "seconds": 60.0, "seeds": (7,), "attempt": 1, "step": np.nan, "final": np.nan}
        | {"origin": "design" if i < len(components) else "model"}
        | (
            {"mean": np.nan, "sem": np.nan, "kl": np.nan, "reason": f"diverged: {EVIL}"}
            if i >= n_finished
            else {"mean": float(i), "sem": 0.1, "kl": 2.0 * i, "reason": None}
        )
        for i in range(n_finished + n_failed)
    ]
    columns = [
        "index",
        "status",
        *[f"w_{n}" for n in components],
        "gae_lambda",
        "mean",
        "sem",
        "final",
        "kl",
        "reason",
        "seconds",
        "origin",
        "seeds",
        "attempt",
        "step",
    ]
    return pd.DataFrame(rows, columns=columns)


def stop_early(trials: pd.DataFrame, index: int, step: int = 5) -> pd.DataFrame:
    """The same trials, one of them stopped early."""
    trials = trials.copy()
    row = trials["index"] == index
    trials.loc[row, ["status", "reason"]] = ["stopped", f"below the others {EVIL}"]
    trials.loc[row, "step"] = float(step)
    return trials


def make_best(components: tuple[str, ...], n_trials: int = 5, **changes: object) -> Best:
    weights = dict.fromkeys(components, 0.0) | {components[0]: 0.75, components[-1]: 0.25}
    best = Best(
        weights=weights,
        parameters={"gae_lambda": 0.83},
        interval={name: (max(w - 0.1, 0.0), w + 0.125) for name, w in weights.items()} | {"gae_lambda": (0.7, 0.9)},
        mean=2.345,
        mean_interval=(1.23, 3.21),
        kl=6.54,
        prob_better_than_sparse=0.876,
        prob_better_than=dict.fromkeys(components, 0.654),
        prob_best={name: 0.07 * i for i, name in enumerate(components, start=1)},
        regret=0.042,
        joint=[],
        front=[],
        seed_correlation=None,
        n_trials=n_trials,
        nearest_trial=2,
        note="",
    )
    return replace(best, **changes)


def make_front(components: tuple[str, ...], n: int = 4) -> list[FrontPoint]:
    """More of the first component for more reward and more KL: point i has reward i and KL 2 i."""
    return [
        FrontPoint(
            weights=dict.fromkeys(components, 0.0) | {components[-1]: 1 - i / n, components[0]: i / n},
            parameters={"gae_lambda": 0.83},
            mean=float(i),
            mean_interval=(i - 0.25, i + 0.5),
            kl=2.0 * i,
            kl_interval=(2.0 * i - 0.75, 2.0 * i + 1.0),
        )
        for i in range(n)
    ]


def make_surface(components: tuple[str, ...]) -> Surface:
    """All weights in steps of a quarter; reward grows, and KL too, with the first of them."""
    grid = [point for point in itertools.product(range(5), repeat=len(components)) if sum(point) == 4]
    weights = np.array(grid) / 4
    return Surface(
        components=list(components),
        parameters={"gae_lambda": 0.83},
        weights=weights,
        mean=weights[:, 0],
        sd=np.full(len(weights), 0.1),
        kl=16 * weights[:, 0],
        draws=weights[:5],
    )
