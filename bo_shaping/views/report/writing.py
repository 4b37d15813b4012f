"""From a study to files: the only place of the report that knows about `Study`."""

import os
from pathlib import Path
from typing import TYPE_CHECKING

from bo_shaping.text.passwords import without_password
from bo_shaping.views.report.checks import checks_html, checks_of
from bo_shaping.views.report.curves import curves_figure
from bo_shaping.views.report.front import front_figure
from bo_shaping.views.report.in_words import in_words
from bo_shaping.views.report.material import material_of
from bo_shaping.views.report.page import render_page
from bo_shaping.views.report.simplex import simplex_figure
from bo_shaping.views.report.style import png_bytes, svg_bytes
from bo_shaping.views.report.trial_frame import finished_trials
from bo_shaping.views.report.weights import weights_figure
from inner_loop.io.atomic_file import write_atomically

if TYPE_CHECKING:
    from bo_shaping.study import Study


def write_report(
    study: "Study",
    output_dir: str | os.PathLike[str] | None = None,
    figures_dir: str | os.PathLike[str] | None = None,
) -> Path:
    """Write `index.html`, which needs nothing beside it, and its pictures as PNG files.

    A study of any age can be reported: without enough trials for a recommendation the page says so.

    Args:
        study: The study; only read.
        output_dir: Where to write; `report` in the study's folder by default.
        figures_dir: Where to write every picture as PNG and as SVG, too; nowhere by default.

    Returns:
        The path of `index.html`.
    """
    folder = Path(output_dir) if output_dir is not None else study.path / "report"
    folder.mkdir(parents=True, exist_ok=True)
    material = material_of(study)
    trials, best, surface, kl_budget = material.trials, material.best, material.surface, material.kl_budget
    figures = {
        "simplex": simplex_figure(trials, best, surface, kl_budget=material.kl_limit, reward=material.reward),
        "curves": curves_figure(
            trials, material.curves, material.landmarks, kl_budget=kl_budget, kl_held=material.kl_held
        ),
        "weights": weights_figure(best, surface, bounds=material.bounds),
    }
    if best is not None and best.front:
        figures["front"] = front_figure(trials, best.front)
    checks = checks_of(material)
    figures |= {check.name: check.figure for check in checks if check.figure is not None}
    pictures = {name: png_bytes(figure) for name, figure in figures.items()}
    page = render_page(
        study.name,
        material.verdict,
        pictures,
        trials,
        material.landmarks,
        best=best,
        samples=material.samples,
        similarity=material.similarity,
        kl_budget=kl_budget,
        kl_held=material.kl_held,
        replicates=study.config.noise.replicates,
        reward=material.reward,
        config_yaml=without_password(study.config.to_yaml()),
        in_words=in_words(best, len(finished_trials(trials)), study.config.ppo.steps, kl_budget),
        checks=checks_html(checks, pictures),
    )
    for name, png in pictures.items():
        write_atomically(folder / f"{name}.png", png)
    if figures_dir is not None:
        for name, figure in figures.items():
            write_atomically(Path(figures_dir) / f"{name}.png", pictures[name])
            write_atomically(Path(figures_dir) / f"{name}.svg", svg_bytes(figure))
    index = folder / "index.html"
    write_atomically(index, page)
    return index
