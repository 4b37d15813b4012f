"""What a tracker is told of a trial, as lines that follow from the trial's files alone.

A line belongs to a group; within a group its step only goes up. So whoever knows the last step of each group knows what
is missing, after whatever interruption.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from bo_shaping.config import StudyConfig
from bo_shaping.storage.records import Entry, TrialRecord
from bo_shaping.storage.trial_folder import Event
from inner_loop.spec import CurvePoint, ExplainedResponse, TrialResult

ENDED = ("completed", "stopped", "failed")
END = "end"
"""Group of how a trial ended; written last."""


@dataclass(frozen=True)
class Line:
    """Numbers and texts of one step."""

    group: str
    """First part of the names: `validation`, `rollout`, `update`, `credit`, `end`; with replicates `seed-3/...`."""
    step: int
    numbers: Mapping[str, float] = field(default_factory=dict)
    texts: Mapping[str, str] = field(default_factory=dict)
    credit: ExplainedResponse | None = None
    """An explained response, for trackers that show more than numbers."""

    @property
    def values(self) -> dict[str, float]:
        """The numbers with their full names, such as `validation/mean`."""
        return {f"{self.group}/{name}": value for name, value in self.numbers.items()}


def run_name(index: int) -> str:
    """Name of a trial's run."""
    return f"trial-{index:04d}"


def run_config(config: StudyConfig, record: TrialRecord) -> dict[str, str | int | float]:
    """The configuration of a trial's run: weights as `w_NAME`, training parameters, and where the arm comes from."""
    return {
        "study": config.name,
        "trial": record.index,
        "origin": record.origin,
        "seeds": " ".join(map(str, record.seeds)),
        **{f"w_{name}": value for name, value in record.weights.items()},
        **record.parameters,
    }


def lines_of(entry: Entry, events: Sequence[Event], results: Sequence[TrialResult]) -> list[Line]:
    """All that there is to say of a trial so far, in the order in which it is written.

    Args:
        entry: The trial as the journal knows it.
        events: Its progress.
        results: What the inner loop returned, one result per seed; empty as long as it runs, or if it failed.
    """
    seeds = entry.record.seeds
    lines = []
    for replicate, seed in enumerate(seeds):
        prefix = f"seed-{seed}/" if len(seeds) > 1 else ""
        own = [event.progress for event in events if event.replicate == replicate]
        points = {progress.point.step: progress.point for progress in own if progress.point is not None}
        result = results[replicate] if replicate < len(results) else None
        if result is not None:
            points |= {point.step: point for point in result.curve}
        rollouts = {event.step: {"score": event.score, "kl": event.kl} for event in own if event.score is not None}
        lines += [_line(f"{prefix}rollout", step, values) for step, values in sorted(rollouts.items())]
        lines += [_line(f"{prefix}validation", step, _of_point(point)) for step, point in sorted(points.items())]
        if result is not None:
            lines += [_line(f"{prefix}update", i + 1, step.model_dump()) for i, step in enumerate(result.steps)]
            lines += [Line(f"{prefix}credit", i, {"score": s.score}, credit=s) for i, s in enumerate(result.samples)]
    if entry.record.status in ENDED:
        lines.append(_ending(entry.record))
    return lines


def missing(lines: Sequence[Line], last_steps: Mapping[str, int]) -> list[Line]:
    """The lines beyond the last step of their group."""
    return [line for line in lines if line.step > last_steps.get(line.group, -1)]


def last_steps(lines: Sequence[Line]) -> dict[str, int]:
    """The last step of each group."""
    last: dict[str, int] = {}
    for line in lines:
        last[line.group] = max(line.step, last.get(line.group, -1))
    return last


def _line(group: str, step: int, values: Mapping[str, float | None]) -> Line:
    return Line(group, step, {name: value for name, value in values.items() if value is not None})


def _of_point(point: CurvePoint) -> dict[str, float | None]:
    gold = {f"gold_{name}": mean for name, mean in point.gold.items()}
    return point.model_dump(exclude={"step", "gold"}) | gold


def _ending(record: TrialRecord) -> Line:
    numbers = {"reward": record.mean, "sem": record.sem, "final": record.final, "kl": record.kl, **record.measures}
    numbers |= {"seconds": record.seconds, "attempts": record.attempt}
    texts = {"status": record.status} | ({"reason": record.reason} if record.reason else {})
    # A trial that failed may be run again: how it ended then comes after how it ended before.
    step = 0 if record.status == "failed" else 1
    return Line(END, step, {name: value for name, value in numbers.items() if value is not None}, texts)
