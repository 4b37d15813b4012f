"""A study in a notebook: `look(study)` has the headline, the pictures and the tables of the report, one per cell."""

import weakref
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from bo_shaping.text.escaping import escape
from bo_shaping.views.report.curves import curves_figure
from bo_shaping.views.report.material import Material, material_of
from bo_shaping.views.report.recommendation import rivals_html, weights_table_html
from bo_shaping.views.report.shown import Picture, Shown
from bo_shaping.views.report.simplex import simplex_figure
from bo_shaping.views.report.tokens import token_credit_html
from bo_shaping.views.report.trial_table import trial_table_html
from bo_shaping.views.report.weights import weights_figure
from inner_loop.spec import ExplainedResponse

if TYPE_CHECKING:
    from bo_shaping.study import Study
    from inner_loop.shaping import ShapingFunction


def look(study: "Study | str | Path") -> "StudyView":
    """A study to look at.

    Args:
        study: The study itself, its name, its folder, or one file of it: its `ax_experiment.json`, or what `bo-shaping
            export --format ax-json` writes (with `--responses`, explained responses can be seen, too). A study from a
            file is put together in a temporary folder, and the file is only read.

    Raises:
        StudyNotFoundError: If there is none.
        ExperimentFileError: If the file is damaged, holds no study, or names code to import: make a study of it then,
            with `Study.from_ax`, whose settings permit that, and look at this.
    """
    from bo_shaping.storage.importing import import_study, imported_config
    from bo_shaping.storage.portable import read_portable
    from bo_shaping.study import Study

    if isinstance(study, Study):
        return StudyView(study)
    if not Path(study).is_file():
        return StudyView(Study.load(study))
    portable = read_portable(Path(study))
    config = imported_config(Path(study), portable, None, (), False)
    folder = TemporaryDirectory(prefix="bo-shaping-")
    put_together = Study.load(import_study(portable, config, Path(folder.name)).path)
    # The folder lives as long as somebody looks at the study.
    weakref.finalize(put_together, folder.cleanup)
    return StudyView(put_together)


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

    def simplex(self) -> Picture:
        """Where on the simplex the best weights are."""
        it = self.material
        figure = simplex_figure(it.trials, it.best, it.surface, kl_budget=it.kl_limit, reward=it.reward)
        return Picture.of(figure, "Trials and posterior mean reward on the simplex of mixing weights")

    def weights(self) -> Picture:
        """The posterior of each weight and training parameter."""
        it = self.material
        return Picture.of(weights_figure(it.best, it.surface, bounds=it.bounds), "Posterior of the best weights")

    def curves(self) -> Picture:
        """Learning curves by step, and at equal KL."""
        it = self.material
        figure = curves_figure(it.trials, it.curves, it.landmarks, kl_budget=it.kl_budget, kl_held=it.kl_held)
        return Picture.of(figure, "Learning curves by PPO step and by KL")

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
