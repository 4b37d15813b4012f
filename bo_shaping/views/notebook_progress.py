"""A bar in a notebook (or a terminal) while a study runs there: trials that have ended, what is best, what is left."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from bo_shaping.text.hidden_characters import visible_text
from bo_shaping.views.live import throttled
from bo_shaping.views.running import BestSoFar
from bo_shaping.views.status import study_status

if TYPE_CHECKING:
    from bo_shaping.study import Study


@contextmanager
def progress_bar(study: "Study", n_trials: int | None = None) -> Iterator[Callable[[], None]]:
    """Yields what `Study.run` takes as `on_change`; the bar is a widget in a notebook, and text elsewhere.

        with progress_bar(study) as on_change:
            study.run(on_change=on_change)

    Args:
        study: The study.
        n_trials: How many new trials, as of `Study.run`; None for the rest of the budget.
    """
    from tqdm.auto import tqdm

    folder, best = study.folder, BestSoFar(study.folder)
    n_known = len(folder.records())
    total = max(study.config.budget.trials, n_known) if n_trials is None else n_known + n_trials
    with tqdm(total=total, unit="trial", desc=visible_text(study.name), bar_format=_FORMAT) as bar:

        def update() -> None:
            status = study_status(folder)
            ended = sum(trial.status in ("completed", "stopped", "failed") for trial in status.trials)
            running = [trial for trial in status.trials if trial.status == "running"]
            # A trial that runs counts for the part of it that is done.
            bar.n = round(ended + sum(trial.done for trial in running), 2)
            failed = status.count("failed")
            words = [best.line(status), f"{failed} failed" if failed else ""]
            words += [f"trial {t.record.index} at {100 * t.done:.0f} %" for t in running]
            bar.set_postfix_str(visible_text("; ".join(word for word in words if word)), refresh=False)
            bar.refresh()

        yield throttled(update)
        update()


_FORMAT = "{desc} {percentage:3.0f}% |{bar:20}| {n:.1f} of {total} trials [{elapsed}, {remaining} left] {postfix}"
