"""Credit beside the packages that made the methods known, and how fast estimates come to the exact values."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator

from bo_shaping.text.escaping import escape
from bo_shaping.views.html_table import html_table
from bo_shaping.views.report.explain_page import credits_html
from bo_shaping.views.report.shap_plot import shap_text_html
from bo_shaping.views.report.shown import Picture, Shown
from bo_shaping.views.report.style import INK, component_colours, new_figure, tidy_axes
from inner_loop.attribution import explain
from inner_loop.attribution.credit import Credit
from inner_loop.models.reward_models import as_reward_model

PACKAGES = {"shapley": "shap package (kernel)", "owen": "shap package (partition)", "lime": "lime package"}
"""Method -> the package that has it, and its estimator there."""

_COLOURS = {"shapley": "shap", "owen": "owen", "lime": "lime"}
"""Method -> the component whose colour it has."""

_LEAST_ERROR = 1e-6
"""Less than this share of the credit is what single precision leaves of nothing: it is exact."""


class ResponseCredit:
    """Why one response scores as it does: each method gives one cell.

    Args:
        reward_model: As of `inner_loop.attribution.explain`.
        prompt: What the response answers; never masked.
        response: What is explained.
        units: Its parts: `words`, `tokens`, `spans`, `sentences`.
    """

    def __init__(self, reward_model: Any, prompt: str, response: str, *, units: str = "words") -> None:
        self._reward_model = as_reward_model(reward_model)
        self._prompt, self._response, self._units = prompt, response, units

    def credit(self, methods: Sequence[str], budget: int, *, engine: str = "own") -> Credit:
        """The credit by some methods. Raises as `explain`."""
        [credit] = explain(
            self._reward_model,
            [self._prompt],
            [self._response],
            methods=methods,
            units=self._units,
            budget=budget,
            engine=engine,
        )
        return credit

    @cached_property
    def n_units(self) -> int:
        """Parts of the response."""
        return len(self.credit((), 2).units)

    @property
    def exact_budget(self) -> int:
        """Evaluations after which nothing is estimated: every set of units that there is."""
        return 2**self.n_units

    def blocks(self, methods: Sequence[str] = ("shapley",), budget: int = 64) -> Shown:
        """The response as blocks of text, a row per method."""
        credit = self.credit(methods, budget)
        return _blocks(replace(credit, values={method: credit.values[method] for method in methods}))

    def beside_packages(self, methods: Sequence[str] = tuple(PACKAGES), budget: int = 64) -> Shown:
        """Our values and those of the shap and lime packages, which are given as many evaluations."""
        ours, theirs = (self.credit(methods, budget, engine=engine) for engine in ("own", "library"))
        values = {
            name: credit.values[method]
            for method in methods
            for name, credit in ((method, ours), (PACKAGES[method], theirs))
        }
        return _blocks(replace(ours, values=values), has_legend=False)

    def shap_text(self, method: str = "shapley", budget: int = 64) -> Shown:
        """The text plot of the shap package, on white: it knows no dark pages."""
        plot = shap_text_html(self.credit([method], budget), method)
        return Shown(f'<div style="background:#fff;color:#1f2733;padding:.5rem;overflow-x:auto">{plot}</div>', method)

    def convergence(self, methods: Sequence[str] = tuple(PACKAGES), budgets: Sequence[int] = ()) -> "Convergence":
        """How far our estimates and the packages' are from the exact values, by evaluations."""
        asked = budgets or _budgets_to(self.exact_budget)
        exact = self.credit(methods, self.exact_budget)
        errors: dict[tuple[str, str], list[float]] = {}
        counts: dict[tuple[str, str], list[int]] = {}
        expected: dict[str, list[float]] = {method: [] for method in methods}
        for budget in asked:
            for method in methods:
                for engine in ("own", "library"):
                    credit = self.credit([method], budget, engine=engine)
                    error = np.linalg.norm(credit.values[method] - exact.values[method])
                    errors.setdefault((method, engine), []).append(float(error / np.linalg.norm(exact.values[method])))
                    counts.setdefault((method, engine), []).append(credit.n_evaluations)
                    if engine == "own":
                        spread = np.linalg.norm(credit.std[method]) / np.linalg.norm(exact.values[method])
                        expected[method].append(float(spread))
        return Convergence(self.n_units, tuple(asked), errors, counts, expected)


@dataclass(frozen=True)
class Convergence:
    """Errors by budget; a cell by itself, or as a table."""

    n_units: int
    budgets: tuple[int, ...]
    errors: Mapping[tuple[str, str], Sequence[float]]
    """Method and engine -> per budget, the distance to the exact values, as a share of their length."""
    evaluations: Mapping[tuple[str, str], Sequence[int]]
    """Distinct evaluations that were spent of each budget."""
    expected: Mapping[str, Sequence[float]]
    """Method -> per budget, the distance that our standard deviations lead to expect."""

    def picture(self) -> Picture:
        """The errors as curves, a panel per method."""
        return Picture.of(self._figure(), "Distance to the exact credit by reward-model evaluations")

    def table(self) -> Shown:
        """The errors as numbers."""
        heads = ("method", "by", *map(str, self.budgets))
        rows = []
        for (method, engine), errors in self.errors.items():
            by = "bo-shaping" if engine == "own" else PACKAGES[method]
            rows.append((method, by, *(_share(error) for error in errors)))
        text = f"Distance to the exact credit of {self.n_units} units, as a share of its length, by the budget"
        return Shown(f"<p>{escape(text)}</p>{html_table(heads, rows, 'Distance to the exact credit')}", text)

    def _figure(self) -> Figure:
        methods = list(self.expected)
        figure = new_figure(10.2, 3.6)
        colours = component_colours([_COLOURS.get(method, method) for method in methods])
        least = min((e for errors in self.errors.values() for e in errors if e > _LEAST_ERROR), default=0.01)
        # On a logarithmic axis there is no zero: what is exact stands below everything else.
        floor = min(least, 0.005) / 2.5
        panels = np.atleast_1d(figure.subplots(1, len(methods), sharey=True))
        for ax, method in zip(panels, methods, strict=True):
            tidy_axes(ax)
            colour = colours[_COLOURS.get(method, method)]
            for engine, style, label in (
                ("own", "solid", "bo-shaping"),
                ("library", "dashed", PACKAGES[method]),
            ):
                errors = np.maximum(self.errors[method, engine], floor)
                where = self.evaluations[method, engine]
                ax.plot(where, errors, linestyle=style, marker="o", markersize=5, color=colour, label=label)
            spread = np.array(self.expected[method])
            if spread.any():
                shown = np.where(spread > 0, spread, np.nan)
                says = "what bo-shaping's ± expects"
                ax.plot(self.evaluations[method, "own"], shown, linestyle=":", color=INK, label=says)
            ax.set_xscale("log", base=2)
            ax.set_yscale("log")
            ax.set_ylim(floor / 1.4, 1.6)
            ax.set_yticks([floor, 0.01, 0.1, 1.0], ["exact", "1 %", "10 %", "100 %"])
            ax.yaxis.set_minor_locator(NullLocator())
            ax.set_xticks(self.budgets, [str(budget) for budget in self.budgets])
            ax.xaxis.set_minor_locator(NullLocator())
            ax.set_title(method, fontsize=10.5, color=colour, loc="left", fontweight="bold")
            ax.set_xlabel("distinct evaluations")
            ax.legend(fontsize=8, frameon=False, labelcolor=INK, loc="upper right")
        panels[0].set_ylabel("distance to the exact credit\n(share of its length)")
        return figure


def _blocks(credit: Credit, *, has_legend: bool = True) -> Shown:
    sums = ", ".join(f"{method}: {values.sum():+.2f}" for method, values in credit.values.items())
    return Shown(
        credits_html([credit], has_legend=has_legend), f"score {credit.full_value:+.2f}; sums of credit: {sums}"
    )


def _budgets_to(most: int) -> tuple[int, ...]:
    """Doubling, up to where nothing is left to estimate."""
    return tuple(2**power for power in range(4, most.bit_length()))


def _share(error: float) -> str:
    return "exact" if error < _LEAST_ERROR else f"{100 * error:.2g} %"
