"""Reward against KL with the law of reward over-optimisation: R(d) = d (alpha - beta log d), d = sqrt(KL) [Gao2022]_.

The law was found for a gold reward that the policy is not trained on, with one policy followed through its training.
Here the reward is the one that is trained on, and the curve goes through the best points of all trials: its peak, if it
has one, is an extrapolation to be read with care.

.. [Gao2022] Scaling Laws for Reward Model Overoptimization. arXiv:2210.10760, eq. (1).
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from bo_shaping.text.wording import percent
from bo_shaping.views.report.style import ACCENT, FAINT, INK, MUTED, new_figure, say_nothing_yet, tidy_axes
from inner_loop.spec import CurvePoint

Array = NDArray[np.float64]

FEWEST = 4
"""Points of the frontier below which two coefficients are no fit."""


@dataclass(frozen=True)
class KLLaw:
    """The fitted law, for the reward beyond that of the start policy."""

    alpha: float
    beta: float
    explained: float
    """Share of the variance of the frontier that the law explains."""
    start: float
    """Reward of the start policy."""
    kl: Array
    reward: Array
    """The frontier: `f` points of all curves that no other point beats at no more KL."""

    @property
    def peak(self) -> float | None:
        """KL at which the law has its peak, (exp(alpha / beta - 1))^2; None if it rises or falls for ever."""
        if self.beta <= 0:
            return None
        exponent = 2 * (self.alpha / self.beta - 1)
        return math.exp(exponent) if exponent < math.log(1e6) else None

    def at(self, kl: Array) -> Array:
        """Reward by the law at some KL."""
        d = np.sqrt(kl)
        return self.start + np.where(d > 0, d * (self.alpha - self.beta * np.log(np.where(d > 0, d, 1.0))), 0.0)


def fit_kl_law(curves: Mapping[int, Sequence[CurvePoint]]) -> KLLaw | None:
    """Fit the law to the frontier of all learning curves by least squares; None with fewer than `FEWEST` points of it.

    Points without KL are where all policies begin; their mean is the start.
    """
    points = [point for curve in curves.values() for point in curve]
    begin = [curve[0].mean for curve in curves.values() if curve and curve[0].step == 0]
    if not begin:
        return None
    start = float(np.mean(begin))
    kl, reward = frontier([(point.kl, point.mean) for point in points if point.kl > 0 and point.step > 0])
    if len(kl) < FEWEST:
        return None
    d, gain = np.sqrt(kl), reward - start
    columns = np.stack([d, -d * np.log(d)], axis=1)
    (alpha, beta), *_ = np.linalg.lstsq(columns, gain, rcond=None)
    residual = gain - columns @ (alpha, beta)
    variance = float(((gain - gain.mean()) ** 2).sum())
    explained = 1 - float((residual**2).sum()) / variance if variance > 0 else 0.0
    return KLLaw(float(alpha), float(beta), explained, start, kl, reward)


def frontier(points: Sequence[tuple[float, float]]) -> tuple[Array, Array]:
    """KL and reward of the points with more reward than every point of no more KL, from least to most KL.

    >>> frontier([(3.0, 1.0), (1.0, 0.5), (2.0, 0.25), (3.0, 2.0)])
    (array([1., 3.]), array([0.5, 2. ]))
    """
    kept: list[tuple[float, float]] = []
    for kl, reward in sorted(points, key=lambda point: (point[0], -point[1])):
        if not kept or reward > kept[-1][1]:
            kept.append((kl, reward))
    table = np.array(kept, dtype=float).reshape(-1, 2)
    return table[:, 0], table[:, 1]


def kl_law_figure(curves: Mapping[int, Sequence[CurvePoint]], law: KLLaw | None, kl_budget: float | None) -> Figure:
    """All points of all learning curves, the frontier, and the law."""
    if law is None:
        return say_nothing_yet("Too few points of reward against KL yet")
    figure = new_figure(6.2, 4.2)
    ax = figure.add_subplot()
    tidy_axes(ax)
    kl = np.array([point.kl for curve in curves.values() for point in curve])
    reward = np.array([point.mean for curve in curves.values() for point in curve])
    ax.plot(np.sqrt(np.maximum(kl, 0)), reward, ".", color=FAINT, markersize=5, label="points of all learning curves")
    ax.plot(np.sqrt(law.kl), law.reward, "o", color=INK, markersize=5, label="frontier: most reward at that KL")
    d = np.linspace(0, 1.1 * float(np.sqrt(law.kl.max())), 200)
    ax.plot(d, law.at(d**2), color=ACCENT, linewidth=2, label=f"d ({law.alpha:.2f} - {law.beta:.2f} log d), fitted")
    if kl_budget is not None and math.sqrt(kl_budget) <= 1.5 * d[-1]:
        ax.axvline(math.sqrt(kl_budget), color=MUTED, linewidth=1, linestyle="dashed", label=f"KL budget {kl_budget:g}")
    ax.set_xlabel("d, the square root of the KL to the reference")
    ax.set_ylabel("validation reward (unshaped)")
    ax.legend(fontsize=8.5, frameon=False)
    return figure


def kl_law_sentences(law: KLLaw) -> list[str]:
    """What the fit says, in words."""
    reached = float(law.kl.max())
    text = (
        f"The best points at each KL follow d (alpha - beta log d) with d = sqrt(KL), alpha = {law.alpha:.2f} "
        "and beta = "
        f"{law.beta:.2f}; {len(law.kl)} points, {percent(max(law.explained, 0))} of their variance explained."
    )
    if law.peak is None:
        more = f"It has no peak: up to the largest KL seen ({reached:.1f}), more KL went with more reward."
    elif law.peak <= reached:
        more = f"It has its peak at a KL of {law.peak:.1f}; beyond that, more KL went with less reward."
    else:
        more = (
            f"Its peak, at a KL of {law.peak:.1f}, lies beyond the largest KL seen ({reached:.1f}): an "
            "extrapolation, not "
            "a finding."
        )
    return [text, more]
