"""The recommendation of a study as plain data, and its file: read without Ax, so that `best` answers at once."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bo_shaping.config.searched_parameter import Value
from bo_shaping.surrogate.fit import Fit

Array = NDArray[np.float64]

CREDIBILITY = 0.9
"""Probability inside every interval."""
TAILS = ((1 - CREDIBILITY) / 2, (1 + CREDIBILITY) / 2)
"""Quantiles at the ends of an interval."""


@dataclass(frozen=True)
class Group:
    """Components whose weights the trials cannot tell apart: their sum is known much better than each of them."""

    components: list[str]
    total: tuple[float, float]
    """90 % credible interval of the sum of their best weights."""


@dataclass(frozen=True)
class FrontPoint:
    """A point that no other is expected to beat in both reward and KL."""

    weights: dict[str, float]
    parameters: dict[str, Value]
    mean: float
    """Expected validation reward."""
    mean_interval: tuple[float, float]
    """Its 90 % credible interval."""
    kl: float
    """Expected KL to the reference."""
    kl_interval: tuple[float, float]
    """Its 90 % credible interval."""


@dataclass(frozen=True)
class Cost:
    """How much less another point is expected to give than the recommended one."""

    mean: float
    """In units of the reward; negative if it is expected to give more."""
    sd: float
    """Its posterior standard deviation."""


@dataclass(frozen=True)
class Simplest:
    """A mixture of fewer components that is not known to be worse than the recommended one."""

    weights: dict[str, float]
    parameters: dict[str, Value]
    """The training parameters that are best with these weights."""
    cost: Cost
    prob_best: float
    """Probability that a mixture of these components, at some training parameters, is the best of all."""


@dataclass(frozen=True)
class Older:
    """What the trials of another task have turned out to say of this one."""

    source: str
    n_trials: int
    correlation: float
    """Between the surface there and the one here, over the search space."""
    correlation_interval: tuple[float, float]
    """Its 90 % credible interval."""


@dataclass(frozen=True)
class Borrowed:
    """What all older tasks together are worth."""

    older: list[Older]
    error: float
    """Root mean square error with which the reward of a trial is predicted from all others and the older tasks."""
    error_without: float
    """The same without the older tasks."""

    def sentences(self) -> list[str]:
        """One per task, and one for all."""
        lines = []
        for older in self.older:
            low, high = older.correlation_interval
            lines.append(
                f"Learned from {older.n_trials} trials of {older.source}: its surface and this one correlate by "
                f"{older.correlation:.2f} ({low:.2f} to {high:.2f})."
            )
        return [
            *lines,
            f"With them a trial is predicted from the others within {self.error:.2f}, without them within "
            f"{self.error_without:.2f}.",
        ]


@dataclass(frozen=True)
class Best:
    """The recommendation: the allowed point of highest posterior mean, never the luckiest observation.

    After the trials of `budget.replicate_last` it is the best arm that these measured, unless another point is better
    with 90 % probability.
    """

    weights: dict[str, float]
    """Mixing weights by component, summing to 1."""
    parameters: dict[str, Value]
    """Training parameters that go with the weights, such as `gae_lambda`."""
    interval: dict[str, tuple[float, float]]
    """90 % credible interval of the best value of every weight, and of every training parameter with a range."""
    mean: float
    """Expected validation reward."""
    mean_interval: tuple[float, float]
    """90 % credible interval of the expected validation reward (without the noise of one training)."""
    kl: float | None
    """Expected KL to the reference; None if trials were told without one."""
    prob_better_than_sparse: float | None
    """Probability that its expected reward exceeds that of pure sparse with sparse's own best training parameters; None
    if it is sparse itself, or if every arm has as much of sparse as any other."""
    prob_better_than: dict[str, float | None]
    """The same against every single component."""
    prob_best: dict[str, float]
    """Probability that a component alone, at some training parameters, is the best of all allowed points."""
    regret: float
    """Expected regret still on the table: what the best allowed point gives beyond this one, on average over what is
    possible."""
    joint: list[Group]
    """Groups of weights that cannot be told apart."""
    front: list[FrontPoint]
    """The Pareto front of reward and KL, from least to most KL; empty unless `objective.pareto`."""
    seed_correlation: float | None
    """Correlation between the luck of trainings that share a seed; None where no two seeds were shared by arms."""
    n_trials: int
    """Trials with a result behind it, completed or stopped."""
    nearest_trial: int
    """Index of the completed trial whose arm is nearest."""
    note: str
    """What a reader must know before using it; empty if nothing."""
    reward: str = "reward"
    """What `mean` is the expectation of, in words: it depends on `objective.measure`."""
    simplest: Simplest | None = None
    """The mixture of fewest components that is not known to be worse; None if it is the recommended one."""
    leaving_out: dict[str, Cost] = field(default_factory=dict)
    """By component: what the best mixture without it is expected to lose."""
    matters: dict[str, float] = field(default_factory=dict)
    """Total Sobol indices of the expected reward over the search space: of the `mixture`, and of each parameter."""
    prob_face: float | None = None
    """Probability that no further component is needed: that a mixture of those of the recommended one, at some training
    parameters, is the best of all; None where that was not asked."""
    prob_value: dict[str, dict[str, float]] = field(default_factory=dict)
    """By training parameter of which a few values are searched: the probability of each value, in their order, that the
    best of all allowed points has it."""
    borrowed: Borrowed | None = None
    """What trials of other tasks have brought; None if the study has none."""

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "Best":
        """The recommendation from plain JSON data."""
        interval = {name: (float(low), float(high)) for name, (low, high) in data["interval"].items()}
        return cls(
            **{
                **data,
                "interval": interval,
                "mean_interval": _pair(data["mean_interval"]),
                "simplest": _simplest(data["simplest"]),
                "borrowed": _borrowed(data.get("borrowed")),
                "leaving_out": {name: Cost(**cost) for name, cost in data["leaving_out"].items()},
                "joint": [Group(list(group["components"]), _pair(group["total"])) for group in data["joint"]],
                "front": [
                    FrontPoint(
                        **{
                            **point,
                            "mean_interval": _pair(point["mean_interval"]),
                            "kl_interval": _pair(point["kl_interval"]),
                        }
                    )
                    for point in data["front"]
                ],
            }
        )


def _simplest(data: Mapping[str, Any] | None) -> Simplest | None:
    return None if data is None else Simplest(**{**data, "cost": Cost(**data["cost"])})


def _borrowed(data: Mapping[str, Any] | None) -> Borrowed | None:
    if data is None:
        return None
    older = [Older(**{**one, "correlation_interval": _pair(one["correlation_interval"])}) for one in data["older"]]
    return Borrowed(**{**data, "older": older})


def _pair(values: Sequence[float]) -> tuple[float, float]:
    low, high = values
    return float(low), float(high)


@dataclass(frozen=True)
class Surface:
    """The posterior over the simplex, with the training parameters held at the recommended ones."""

    components: list[str]
    """Order of the columns of `weights` and `draws`."""
    weights: Array
    """`g x k` mixing weights."""
    parameters: dict[str, Value]
    """The recommended training parameters."""
    mean: Array
    """`g` posterior means of the reward."""
    sd: Array
    """`g` posterior standard deviations of the reward."""
    kl: Array
    """`g` posterior means of the KL; zeros if trials were told without one."""
    draws: Array
    """`s x k` best weights, one row per joint draw of reward and KL (training parameters free)."""
    fit: Fit | None = None
    """How well the surface describes the trials; None of recommendations that earlier versions stored."""

    def to_json(self) -> dict[str, Any]:
        """Plain data."""
        return {
            "components": self.components,
            "parameters": self.parameters,
            **{name: getattr(self, name).round(5).tolist() for name in ("weights", "mean", "sd", "kl", "draws")},
            "fit": None if self.fit is None else self.fit.to_json(),
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "Surface":
        """The surface from plain JSON data."""
        arrays = {name: np.asarray(data[name], dtype=float) for name in ("weights", "mean", "sd", "kl", "draws")}
        fit = Fit.from_json(data["fit"]) if data.get("fit") else None
        return cls(components=list(data["components"]), parameters=dict(data["parameters"]), fit=fit, **arrays)
