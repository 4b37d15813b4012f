"""When each trial ran and what ran beside it, from the times of its files."""

import time
from dataclasses import dataclass
from pathlib import Path

from matplotlib.figure import Figure
from matplotlib.patches import Patch
from matplotlib.ticker import FuncFormatter, MaxNLocator

from bo_shaping.dashboard.study_view import StudyView
from bo_shaping.views.report.style import INK, new_figure, say_nothing_yet, tidy_axes
from bo_shaping.views.status import TrialStatus

_COLOURS = {
    "completed": ("#009e73", ""),
    "stopped": ("#e69f00", ""),
    "failed": ("#d55e00", "///"),
    "running": ("#56b4e9", ""),
    "interrupted": ("#cc79a7", "..."),
}
"""State -> colour, and a pattern for who sees no colours."""
_UNITS = ((86_400.0, "days"), (3_600.0, "hours"), (60.0, "minutes"), (1.0, "seconds"))
_NUMBERED = 80


@dataclass(frozen=True)
class Span:
    """One trial in time."""

    trial: int
    status: str
    start: float
    """Seconds since the epoch."""
    end: float
    lane: int
    """Trials of one lane never overlap: as many lanes as trials ran at the same time."""
    worker: str
    """Who runs it now; empty once it has ended."""


def timeline_spans(view: StudyView) -> list[Span]:
    """The trials that the study ran itself, in the order in which they began; told ones have no files."""
    found = [(*times, trial) for trial in view.trials if (times := _times(view, trial)) is not None]
    lanes: list[float] = []
    spans = []
    for start, end, trial in sorted(found, key=lambda item: (item[0], item[2].record.index)):
        # Files are written moments after a trial has ended, when the next one has begun.
        lane = next((i for i, busy in enumerate(lanes) if busy <= start + 0.5), len(lanes))
        if lane == len(lanes):
            lanes.append(end)
        lanes[lane] = end
        spans.append(Span(trial.record.index, trial.status, start, end, lane, _worker(view, trial)))
    return spans


def timeline_figure(view: StudyView) -> Figure:
    """A bar per trial, one lane per worker that was busy at the same time."""
    spans = timeline_spans(view)
    if not spans:
        return say_nothing_yet("No trial has run here yet")
    begin = min(span.start for span in spans)
    length = max(max(span.end for span in spans) - begin, 1.0)
    scale, unit = next(each for each in _UNITS if length >= each[0])
    n_lanes = max(span.lane for span in spans) + 1
    figure = new_figure(10.2, 1.5 + 0.34 * n_lanes)
    ax = figure.add_subplot()
    tidy_axes(ax)
    for span in spans:
        colour, hatch = _COLOURS.get(span.status, ("#7a828e", ""))
        width = max((span.end - span.start) / scale, length / scale / 600)
        left = (span.start - begin) / scale
        ax.barh(span.lane, width, left=left, height=0.72, color=colour, hatch=hatch, edgecolor="#fdfdfd", linewidth=0.6)
        if len(spans) <= _NUMBERED:
            ax.text(
                left + width / 2, span.lane, str(span.trial), ha="center", va="center", fontsize=7.5, color="#101418"
            )
    ax.set_yticks(range(n_lanes), [f"worker {lane + 1}" for lane in range(n_lanes)])
    ax.set_ylim(n_lanes - 0.4, -0.6)
    ax.grid(axis="y", visible=False)
    ax.xaxis.set_major_locator(MaxNLocator(8))
    ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    ax.set_xlabel(f"{unit} since {time.strftime('%Y-%m-%d %H:%M', time.localtime(begin))}")
    seen = [state for state in _COLOURS if any(span.status == state for span in spans)]
    patches = [Patch(facecolor=_COLOURS[s][0], hatch=_COLOURS[s][1], edgecolor="#fdfdfd", label=s) for s in seen]
    figure.legend(handles=patches, loc="outside upper right", ncols=5, fontsize=8.5, frameon=False, labelcolor=INK)
    return figure


def _times(view: StudyView, trial: TrialStatus) -> tuple[float, float] | None:
    folder = view.folder.trial(trial.record.index).path
    begun = _modified(folder / "spec.json")
    if begun is None:
        return None
    ends = [_modified(folder / name) for name in ("result.json", "failed.json")]
    known = [moment for moment in ends if moment is not None]
    if trial.status == "running":
        end = time.time()
    elif known:
        end = max(known)
    else:
        end = _modified(folder / "progress.jsonl") or begun
    took = trial.record.seconds
    # A job may have waited for its worker; what the training took is known better than when its job was written.
    start = max(begun, end - took) if took is not None and trial.status == "completed" else begun
    return min(start, end), end


def _worker(view: StudyView, trial: TrialStatus) -> str:
    worker = view.folder.trial(trial.record.index).worker() if trial.status == "running" else None
    return "" if worker is None else f"process {worker.pid}" + (f" on {worker.host}" if worker.host else "")


def _modified(path: Path) -> float | None:
    try:
        return path.stat().st_mtime
    except OSError:
        return None
