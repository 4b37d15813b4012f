"""How long the pages of the dashboard take, and what memory it keeps: made-up studies, real pages.

    python -m experiments.benchmarks.dashboard

A folder of 200 studies of 20 trials, and a study of 500 trials with learning curves and token credit. Imports are not
counted; the first time nothing is remembered, the second time everything is. Bars: the list within 1 s, the page of the
large study within 2 s, and memory that does not grow over an hour of refreshes, whose clock is driven.
"""

import argparse
import asyncio
import gc
import io
import itertools
import resource
import shutil
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from rich.console import Console

from bo_shaping.config import StudyConfig
from bo_shaping.config.changes import written
from bo_shaping.dashboard.events import event_stream
from bo_shaping.dashboard.pages import Pages
from bo_shaping.dashboard.shelf import Shelf
from bo_shaping.space.arms import to_arm
from bo_shaping.storage.records import Entry, TrialRecord
from bo_shaping.storage.study_folder import StudyFolder
from bo_shaping.storage.trial_folder import Job
from bo_shaping.views.live import LiveScreen
from experiments.benchmarks.bars import Bar, as_json
from experiments.benchmarks.results_file import environment, installed, save
from inner_loop.spec import CurvePoint, ExplainedResponse, TrialResult, TrialSpec

RESULTS = Path(__file__).parent / "dashboard.json"
COMPONENTS = ("shap", "lime", "sparse")
N_STUDIES, N_TRIALS, N_LARGE = 200, 20, 500
HOUR, N_HOUR = 3600, 60
"""Seconds of an hour, which is driven and not waited for, and trials of the study that is looked at."""
BETWEEN_CHANGES, BETWEEN_LOADS = 20, 60
"""Seconds between two changes of that study, and between two loads of its page."""


def main() -> None:
    """Measure, print and store."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=Path, default=RESULTS, help="JSON file of the results")
    output = parser.parse_args().output
    with tempfile.TemporaryDirectory() as folder:
        bars = measure(Path(folder))
    for bar in bars:
        print(bar)
    save(output, "dashboard", {"bars": as_json(bars), "environment": environment(installed(["starlette", "uvicorn"]))})


def measure(root: Path) -> list[Bar]:
    """The bars, on studies made in `root`."""
    rng = np.random.default_rng(0)
    many, large = root / "many", root / "large"
    make_study(many / "study-000", N_TRIALS, rng, with_files=False)
    for number in range(1, N_STUDIES):
        shutil.copytree(many / "study-000", many / f"study-{number:03d}")
    make_study(large / "large", N_LARGE, rng, with_files=True)
    # What the first page of all loads is not counted.
    make_study(root / "warm" / "warm", 3, rng, with_files=True)
    warm = Pages(Shelf(root / "warm"))
    warm.study("warm")
    warm.picture("warm", "curves", "svg")
    list_pages, study_pages = Pages(Shelf(many)), Pages(Shelf(large))
    bars = [
        Bar(f"list of {N_STUDIES} studies, first time, s", seconds(list_pages.studies), "<=", 1.0),
        Bar(f"list of {N_STUDIES} studies, again, s", seconds(list_pages.studies), "<=", 1.0),
        Bar(f"page of {N_LARGE} trials, first time, s", seconds(lambda: study_pages.study("large")), "<=", 2.0),
        Bar(f"page of {N_LARGE} trials, again, s", seconds(lambda: study_pages.study("large")), "<=", 2.0),
    ]
    for name in ("simplex", "curves", "kl", "alike", "timeline"):
        took = seconds(lambda name=name: study_pages.picture("large", name, "svg"))
        bars.append(
            Bar(f"picture {name} of {N_LARGE} trials, first time, s", took, "<=", 15.0, note="loads after the page")
        )
    make_study(root / "hour" / "hour", N_HOUR, rng, with_files=True)
    return [*bars, *hour_bars(StudyFolder(root / "hour" / "hour"), Pages(Shelf(root / "hour")))]


def hour_bars(folder: StudyFolder, pages: Pages) -> list[Bar]:
    """Growth of the peak memory over an hour in which a browser and a terminal look at a study that changes."""
    bars = []
    for name, watch in (("a browser", watch_by_browser), ("a terminal", watch_by_terminal)):
        watch(folder, pages, HOUR // 6)
        gc.collect()
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        watch(folder, pages, HOUR)
        grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 2**10
        bars.append(Bar(f"growth of the peak memory, {name} looks for an hour, MB", grown, "<=", 10.0))
    return bars


def watch_by_browser(folder: StudyFolder, pages: Pages, n_seconds: int) -> None:
    """The stream of a study's page looks every second, without waiting; now and then the page is loaded anew."""
    clock = itertools.count()

    def is_over() -> bool:
        second = next(clock)
        change(folder, second)
        if second % BETWEEN_LOADS == 0:
            pages.study(folder.path.name)
        return second >= n_seconds

    async def listen() -> None:
        async for _ in event_stream(lambda: pages.look_at_study(folder.path.name), is_over, every=0.0):
            pass

    asyncio.run(listen())


def watch_by_terminal(folder: StudyFolder, pages: Pages, n_seconds: int) -> None:
    """The live screen is drawn every second, without waiting; the pages are not looked at."""
    time_now = 0.0
    screen = LiveScreen(folder, len(folder.records()) + 1, clock=lambda: time_now)
    console = Console(width=120, height=40, record=False, file=io.StringIO(), force_terminal=True)
    for second in range(n_seconds):
        time_now = float(second)
        change(folder, second)
        console.print(screen.now(120, 40))
        console.file = io.StringIO()


def change(folder: StudyFolder, second: int) -> None:
    """Every so often a trial ends with another result."""
    if second % BETWEEN_CHANGES == 0:
        folder.journal.write(entry(0, np.random.default_rng(second)))


def seconds(act: Callable[[], object]) -> float:
    """How long it takes."""
    started = time.perf_counter()
    act()
    return time.perf_counter() - started


def make_study(path: Path, n_trials: int, rng: np.random.Generator, *, with_files: bool) -> None:
    """A study of completed trials; with files, each with a result of a curve and explained responses."""
    folder = StudyFolder(path)
    path.mkdir(parents=True)
    config = StudyConfig.model_validate(
        {"name": path.name, "search_space": {"components": list(COMPONENTS)}, "budget": {"trials": n_trials}}
    )
    folder.config_file.write_text(config.to_yaml(), encoding="utf-8")
    folder.journal.append("config", written(config))
    for index in range(n_trials):
        made = entry(index, rng)
        folder.journal.write(made)
        if with_files and index == 0:
            job = Job.of("module:function", [TrialSpec(weights=made.record.weights)])
            folder.trial(0).prepare(job)
            folder.trial(0).write_results(job.token, [result(made.record, rng)])
        elif with_files:
            shutil.copytree(folder.trial(0).path, folder.trial(index).path)


def entry(index: int, rng: np.random.Generator) -> Entry:
    """A completed trial with random weights and outcome."""
    weights = dict(zip(COMPONENTS, rng.dirichlet(np.ones(3)).tolist(), strict=True))
    record = TrialRecord(
        index=index,
        status="completed",
        weights=weights,
        parameters={"gae_lambda": float(rng.uniform(0.5, 1.0))},
        mean=float(rng.normal()),
        sem=0.1,
        kl=float(rng.uniform(1.0, 9.0)),
        seconds=30.0,
    )
    return Entry(record=record, arm=to_arm(record.weights, record.parameters))


def result(record: TrialRecord, rng: np.random.Generator) -> TrialResult:
    """What a training of 20 steps hands back."""
    curve = [
        CurvePoint(step=s, mean=float(rng.normal()), sem=0.1, kl=0.3 * s, kl_k3=0.0, entropy=1, length=20, distinct_2=1)
        for s in range(0, 21, 4)
    ]
    tokens = [f" word{i}" for i in range(19)] + [""]
    samples = [
        ExplainedResponse(
            prompt="The film is",
            response="".join(tokens),
            score=1.0,
            base_value=0.0,
            tokens=tokens,
            components={name: rng.normal(size=20).tolist() for name in COMPONENTS},
            rewards=rng.normal(size=20).tolist(),
        )
        for _ in range(8)
    ]
    return TrialResult(
        mean=record.mean or 0.0, sem=0.1, kl=record.kl or 0.0, curve=curve, scores=rng.normal(size=128).tolist(),
        steps=[], samples=samples, before=samples, seconds={"sample": 1.0}, peak_memory_mb=1.0, seed=0,
    )  # fmt: skip


if __name__ == "__main__":
    main()
