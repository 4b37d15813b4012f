"""From a study to files: the only place of the report that knows about `Study`."""

import os
from pathlib import Path
from typing import TYPE_CHECKING

from bo_shaping.text.passwords import without_password
from bo_shaping.views.report.curves import curves_figure
from bo_shaping.views.report.front import front_figure
from bo_shaping.views.report.material import material_of
from bo_shaping.views.report.page import render_page
from bo_shaping.views.report.simplex import simplex_figure
from bo_shaping.views.report.style import png_bytes
from bo_shaping.views.report.weights import weights_figure
from inner_loop.io.atomic_file import write_atomically

if TYPE_CHECKING:
    from bo_shaping.study import Study


def write_report(study: "Study", output_dir: str | os.PathLike[str] | None = None) -> Path:
    """Write `index.html` (self-contained), `simplex.png`, `curves.png`, `weights.png`, and `front.png` if there is one.

    A study of any age can be reported: without enough trials for a recommendation the page says so.

    Args:
        study: The study; only read.
        output_dir: Where to write; `report` in the study's folder by default.

    Returns:
        The path of `index.html`.
    """
    folder = Path(output_dir) if output_dir is not None else study.path / "report"
    folder.mkdir(parents=True, exist_ok=True)
    material = material_of(study)
    trials, best = material.trials, material.best
    pictures = {
        "simplex": png_bytes(
            simplex_figure(trials, best, material.surface, kl_budget=material.kl_limit, reward=material.reward)
        ),
        "curves": png_bytes(
            curves_figure(
                trials,
                material.curves,
                material.landmarks,
                kl_budget=material.kl_budget,
                kl_held=material.kl_held,
            )
        ),
        "weights": png_bytes(weights_figure(best, material.surface, bounds=material.bounds)),
    }
    if best is not None and best.front:
        pictures["front"] = png_bytes(front_figure(trials, best.front))
    page = render_page(
        study.name,
        material.verdict,
        pictures,
        trials,
        material.landmarks,
        best=best,
        samples=material.samples,
        similarity=material.similarity,
        kl_budget=material.kl_budget,
        kl_held=material.kl_held,
        replicates=study.config.noise.replicates,
        reward=material.reward,
        config_yaml=without_password(study.config.to_yaml()),
    )
    for name, png in pictures.items():
        write_atomically(folder / f"{name}.png", png)
    index = folder / "index.html"
    write_atomically(index, page)
    return index
