"""A study in a notebook: `look(study)` has the headline, the pictures and the tables of the report, one per cell."""

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from matplotlib.figure import Figure

from bo_shaping.text.escaping import escape
from bo_shaping.views.report.curves import curves_figure
from bo_shaping.views.report.material import Material, material_of
from bo_shaping.views.report.recommendation import TABLE_CSS, rivals_html, weights_table_html
from bo_shaping.views.report.simplex import simplex_figure
from bo_shaping.views.report.style import png_bytes
from bo_shaping.views.report.theme import theme_css
from bo_shaping.views.report.tokens import token_credit_html
from bo_shaping.views.report.trial_table import trial_table_html
from bo_shaping.views.report.weights import weights_figure
from inner_loop.spec import ExplainedResponse

if TYPE_CHECKING:
    from bo_shaping.study import Study
    from inner_loop.shaping import ShapingFunction

CSS_PIXELS_PER_INCH = 96

_CSS = f"""
{theme_css(".bs-cell")}
.bs-cell {{ color: var(--bs-ink); background: var(--bs-paper); padding: .8rem 1rem; border-radius: 8px;
  font: 15px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, sans-serif; overflow-wrap: anywhere; }}
.bs-cell img {{ display: block; max-width: 100%; height: auto; background: #fff; border-radius: 6px; }}
.bs-cell.bs-cell h3 {{ margin: 0 0 .4rem; font-size: 1.2rem; line-height: 1.3; color: var(--bs-ink); }}
.bs-cell.bs-cell p, .bs-cell.bs-cell li {{ margin: .25rem 0; color: var(--bs-ink); }}
.bs-cell.bs-cell .bs-muted {{ color: var(--bs-muted); }}
{TABLE_CSS}
"""


@dataclass(frozen=True)
class Shown:
    """Something that a notebook shows: HTML that brings its style, works offline and runs no script."""

    html: str
    """With every text in it that is not ours escaped."""
    text: str
    """What a terminal shows instead."""

    def _repr_html_(self) -> str:
        return f'<style>{_CSS}</style><div class="bs-cell">{self.html}</div>'

    def __repr__(self) -> str:
        """The text."""
        return self.text


def look(study: "Study | str | Path") -> "StudyView":
    """A study to look at, by itself, its name or its folder.

    Raises:
        StudyNotFoundError: If there is none.
    """
    from bo_shaping.study import Study

    return StudyView(study if isinstance(study, Study) else Study.load(study))


class StudyView:
    """Each method gives one cell; all of them are of one moment of the study."""

    def __init__(self, study: "Study") -> None:
        self.study = study

    @cached_property
    def material(self) -> Material:
        """What the cells show, as data."""
        return material_of(self.study)

    def headline(self) -> Shown:
        """What the study found, and what to read with it."""
        verdict = self.material.verdict
        notes = "".join(f"<li>{escape(note)}</li>" for note in verdict.notes)
        trials = self.material.trials
        html = (
            f'<p class="bs-muted">study {escape(self.material.name)}, {len(trials)} trials</p>'
            f"<h3>{escape(verdict.headline)}</h3><ul>{notes}</ul>"
        )
        return Shown(html, "\n".join([verdict.headline, *verdict.notes]))

    def recommendation(self) -> Shown:
        """The recommended weights with 90 % intervals, and how probably they are the better choice."""
        best = self.material.best
        if best is None:
            return Shown(f"<p>{escape(self.material.verdict.headline)}.</p>", self.material.verdict.headline)
        low, high = best.mean_interval
        divergence = "" if best.kl is None else f", expected KL {best.kl:.1f}"
        expected = f"expected {best.reward} {best.mean:.2f} (90 %: {low:.2f} to {high:.2f}){divergence}"
        return Shown(f"<p>{escape(expected)}</p>{weights_table_html(best)}{rivals_html(best)}", expected)

    def simplex(self) -> Shown:
        """Where on the simplex the best weights are."""
        it = self.material
        figure = simplex_figure(it.trials, it.best, it.surface, kl_budget=it.kl_limit, reward=it.reward)
        return _picture(figure, "Trials and posterior mean reward on the simplex of mixing weights")

    def weights(self) -> Shown:
        """The posterior of each weight and training parameter."""
        it = self.material
        return _picture(weights_figure(it.best, it.surface, bounds=it.bounds), "Posterior of the best weights")

    def curves(self) -> Shown:
        """Learning curves by step, and at equal KL."""
        it = self.material
        figure = curves_figure(it.trials, it.curves, it.landmarks, kl_budget=it.kl_budget, kl_held=it.kl_held)
        return _picture(figure, "Learning curves by PPO step and by KL")

    def trials(self) -> Shown:
        """Every trial."""
        it = self.material
        html = trial_table_html(it.trials, it.landmarks, kl_budget=it.kl_budget, kl_held=it.kl_held)
        return Shown(html, it.trials.to_string(index=False))

    def credit(self, max_responses: int = 4) -> Shown:
        """What the parts of some responses of the highlighted trial were paid."""
        it = self.material
        html = token_credit_html(it.samples, it.chosen_weights, max_responses=max_responses)
        return Shown(html or "<p>No trial has explained responses yet.</p>", f"{len(it.samples)} explained responses")

    def credit_of(self, prompts: Sequence[str], responses: Sequence[str]) -> Shown:
        """What the parts of any responses would be paid under the recommended weights."""
        shaping = self.study.shaping_function()
        samples = explained(shaping, prompts, responses)
        return Shown(token_credit_html(samples, shaping.weights, max_responses=len(samples)), repr(samples))


def explained(shaping: "ShapingFunction", prompts: Sequence[str], responses: Sequence[str]) -> list[ExplainedResponse]:
    """Responses with the credit of each unit under every component of a shaping function.

    Raises:
        As `ShapingFunction`.
    """
    shaped = shaping(prompts, responses, components=list(shaping.weights))
    samples = []
    for prompt, response, credit in zip(prompts, responses, shaped, strict=True):
        starts = [0, *credit.token_ends[:-1]]
        samples.append(
            ExplainedResponse(
                prompt=prompt,
                response=response,
                score=credit.score,
                base_value=credit.base_value or 0.0,
                tokens=[response[start:end] for start, end in zip(starts, credit.token_ends, strict=True)],
                unit_tokens=credit.unit_tokens,
                components={name: values.tolist() for name, values in credit.components.items()},
                rewards=credit.rewards.tolist(),
            )
        )
    return samples


def _picture(figure: Figure, what: str) -> Shown:
    data = base64.b64encode(png_bytes(figure)).decode("ascii")
    width = round(CSS_PIXELS_PER_INCH * figure.get_figwidth())
    return Shown(f'<img alt="{escape(what)}" width="{width}" src="data:image/png;base64,{data}">', what)
