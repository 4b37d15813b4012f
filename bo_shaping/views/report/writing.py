"""From a study to files: the only place of the report that knows about `Study`."""

import os
from pathlib import Path
from typing import TYPE_CHECKING

from bo_shaping.errors import TooFewTrialsError
from bo_shaping.text.passwords import without_password
from bo_shaping.views.report.curves import curves_figure
from bo_shaping.views.report.front import front_figure
from bo_shaping.views.report.page import render_page
from bo_shaping.views.report.simplex import simplex_figure
from bo_shaping.views.report.style import png_bytes
from bo_shaping.views.report.trial_frame import find_landmarks
from bo_shaping.views.report.verdict import judge
from bo_shaping.views.report.weights import weights_figure
from bo_shaping.views.unread import unread_of_study
from inner_loop.credit_similarity import similarity_of_results
from inner_loop.io.atomic_file import write_atomically

if TYPE_CHECKING:
    from bo_shaping.study import Study
    from bo_shaping.surrogate.recommendation import Best, Surface


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
    trials, objective = study.trials(), study.config.objective
    kl_budget = objective.max_kl
    # A training that stopped at the budget is past it by what its last step added, and not over it in any bad sense.
    kl_held = objective.held_kl is not None
    kl_limit = None if kl_held else kl_budget
    results = study.results()
    best, surface = _recommendation(study)
    similarity = similarity_of_results(study.config.search_space.components, results)
    unread = unread_of_study(results, study.config.task.long_responses)
    warnings = [
        *(similarity.warnings() if similarity else []),
        *([unread] if unread else []),
        *(f"Noted {note}" for note in study.folder.notes()),
    ]
    landmarks = find_landmarks(trials, best.nearest_trial if best else None, kl_limit)
    bounds = {name: space.bounds for name, space in study.config.search_space.parameters.items()}
    pictures = {
        "simplex": png_bytes(
            simplex_figure(trials, best, surface, kl_budget=kl_limit, reward=objective.reward_in_words)
        ),
        "curves": png_bytes(
            curves_figure(trials, study.curves(results), landmarks, kl_budget=kl_budget, kl_held=kl_held)
        ),
        "weights": png_bytes(weights_figure(best, surface, bounds=bounds)),
    }
    if best is not None and best.front:
        pictures["front"] = png_bytes(front_figure(trials, best.front))
    chosen = results.get(landmarks.chosen, []) if landmarks.chosen is not None else []
    page = render_page(
        study.name,
        judge(trials, results, best, landmarks, warnings),
        pictures,
        trials,
        landmarks,
        best=best,
        samples=list(chosen[0].samples) if chosen else None,  # those of the first seed,
        similarity=similarity,
        kl_budget=kl_budget,
        kl_held=kl_held,
        replicates=study.config.noise.replicates,
        reward=objective.reward_in_words,
        config_yaml=without_password(study.config.to_yaml()),
    )
    for name, png in pictures.items():
        write_atomically(folder / f"{name}.png", png)
    index = folder / "index.html"
    write_atomically(index, page)
    return index


def _recommendation(study: "Study") -> "tuple[Best | None, Surface | None]":
    try:
        return study.best(), study.surface()
    except TooFewTrialsError:
        return None, None
