"""The numbers behind each picture, for a spreadsheet."""

import csv
import io
from collections.abc import Sequence

from bo_shaping.dashboard.study_view import StudyView
from bo_shaping.dashboard.timeline import timeline_spans

Rows = tuple[list[str], list[list[object]]]

CURVE_FIELDS = ("step", "mean", "sem", "kl", "entropy", "length")


def trials_table(view: StudyView) -> Rows:
    """One row per trial that has a reward."""
    space = view.config.search_space
    head = ["trial", "status", *space.components, *space.parameters, "reward", "sem", "final", "kl"]
    rows: list[list[object]] = [
        [
            trial.record.index,
            trial.status,
            *(trial.record.weights.get(name) for name in space.components),
            *(trial.record.parameters.get(name) for name in space.parameters),
            trial.record.mean,
            trial.record.sem,
            trial.record.final,
            trial.record.kl,
        ]
        for trial in view.trials
        if trial.record.mean is not None
    ]
    return head, rows


def weights_table(view: StudyView) -> Rows:
    """The recommended value and the 90 % interval of each weight and setting; of a few values, how probable each is."""
    best = view.best
    if best is None:
        return ["name", "recommended", "low", "high"], []
    head, values = ["name", "recommended", "low", "high"], {**best.weights, **best.parameters}
    ranges: list[list[object]] = [
        [name, value, *best.interval[name]] for name, value in values.items() if name not in best.prob_value
    ]
    if not best.prob_value:
        return head, ranges
    shares: list[list[object]] = [
        [name, values[name], None, None, value, share]
        for name, of_values in best.prob_value.items()
        for value, share in of_values.items()
    ]
    return [*head, "value", "probability"], [[*row, None, None] for row in ranges] + shares


def curves_table(view: StudyView) -> Rows:
    """One row per point of each learning curve, running trials included."""
    running = set(view.running_curves)
    rows: list[list[object]] = [
        [index, "running" if index in running else "ended", *(getattr(point, name) for name in CURVE_FIELDS)]
        for index, curve in sorted((view.curves | view.running_curves).items())
        for point in curve
    ]
    return ["trial", "state", *CURVE_FIELDS], rows


def importance_table(view: StudyView) -> Rows:
    """Shares of the variance, and costs of leaving out."""
    best = view.best
    rows: list[list[object]] = []
    if best is not None:
        rows += [["share", name, value, None] for name, value in best.matters.items()]
        rows += [["leaving out costs", name, cost.mean, cost.sd] for name, cost in best.leaving_out.items()]
    return ["what", "name", "value", "sd"], rows


def alike_table(view: StudyView) -> Rows:
    """The matrix of correlations, and the share of tokens that each component pays."""
    similarity = view.similarity
    if similarity is None:
        return ["component"], []
    rows: list[list[object]] = [
        [name, *correlations, share]
        for name, correlations, share in zip(
            similarity.components, similarity.correlation, similarity.token_share, strict=True
        )
    ]
    return ["component", *similarity.components, "share of tokens paid"], rows


def timeline_table(view: StudyView) -> Rows:
    """Beginning and end of each trial in seconds since the epoch, and its lane."""
    rows: list[list[object]] = [
        [span.trial, span.status, span.lane, round(span.start, 3), round(span.end, 3), span.worker]
        for span in timeline_spans(view)
    ]
    return ["trial", "status", "lane", "start", "end", "worker"], rows


def training_table(view: StudyView, index: int) -> Rows:
    """One row per event of a trial."""
    rows: list[list[object]] = []
    for event in view.folder.trial(index).events():
        progress, point = event.progress, event.progress.point
        evaluated = [point.mean, point.sem, point.kl] if point is not None else [None, None, None]
        rows.append([event.replicate, progress.step, progress.score, progress.kl, *evaluated])
    return ["replicate", "step", "score", "kl", "validation mean", "validation sem", "validation kl"], rows


def csv_text(table: tuple[Sequence[str], Sequence[Sequence[object]]]) -> str:
    """The table as comma-separated values. No cell begins as a spreadsheet's formula does."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    for row in (table[0], *table[1]):
        writer.writerow([_cell(value) for value in row])
    return buffer.getvalue()


def _cell(value: object) -> object:
    if value is None:
        return ""
    if isinstance(value, str) and value[:1] in ("=", "+", "-", "@", "\t", "\r"):
        return f"'{value}"
    return value
