import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bo_shaping.storage.study_folder import StudyFolder
from bo_shaping.storage.trial_folder import Event, Job
from inner_loop.spec import CurvePoint, ExplainedResponse, TrialProgress, TrialResult, TrialSpec
from tests.bo_shaping.bare_study import ARM, add_trial, bare_study

TOKEN_TEXTS = ("a", " good", " film", "")


@pytest.fixture
def shelf(studies: Path) -> Any:
    """The studies of the test's own folder."""
    pytest.importorskip("starlette", reason="needs starlette (extra dashboard)")
    from bo_shaping.dashboard.shelf import Shelf

    studies.mkdir(exist_ok=True)
    return Shelf(studies)


@pytest.fixture
def client(shelf: Any) -> Any:
    """A browser without a screen, on this machine."""
    pytest.importorskip("httpx2", reason="needs httpx2, the test client of starlette (extra dev)")
    from starlette.testclient import TestClient

    from bo_shaping.dashboard.server import make_app

    with TestClient(make_app(shelf), base_url="http://127.0.0.1:8421") as client:
        yield client


def point(step: int, mean: float) -> CurvePoint:
    return CurvePoint(step=step, mean=mean, sem=0.1, kl=0.5 * step, kl_k3=0.0, entropy=1.0, length=5.0, distinct_2=1.0)


def sample(tokens: tuple[str, ...] = TOKEN_TEXTS, prompt: str = "this is", score: float = 1.0) -> ExplainedResponse:
    credit = [score / len(tokens)] * len(tokens)
    return ExplainedResponse(
        prompt=prompt,
        response="".join(tokens),
        score=score,
        base_value=0.0,
        tokens=list(tokens),
        components={"shap": credit, "lime": credit, "sparse": [0.0] * (len(tokens) - 1) + [score]},
        rewards=credit,
    )


def run_trial(
    folder: StudyFolder, index: int, *, samples: list[ExplainedResponse] | None = None, **record: Any
) -> None:
    """Put a trial into the study that has run here, with its files."""
    add_trial(folder, index, "running")
    trial = folder.trial(index)
    job = Job.of("module:function", [TrialSpec(weights=ARM["weights"])])
    trial.prepare(job)
    for step, mean in enumerate((0.0, 0.4, 1.0)):
        progress = TrialProgress(step=step, n_steps=2, score=mean, kl=0.1 * step, point=point(step, mean))
        trial.append_event(Event(replicate=0, n_replicates=1, progress=progress))
    result = TrialResult(
        mean=1.0, sem=0.1, kl=1.0, curve=[point(step, mean) for step, mean in enumerate((0.0, 0.4, 1.0))],
        scores=[0.5, 1.5], steps=[], samples=[sample()] if samples is None else samples,
        before=[sample(score=-1.0)], seconds={"sample": 1.0}, peak_memory_mb=1.0, seed=0,
    )  # fmt: skip
    trial.write_results(job.token, [result])
    add_trial(folder, index, "completed", origin="design", **record)


@pytest.fixture
def toy(studies: Path) -> StudyFolder:
    """A study with a trial in every state."""
    folder = bare_study(studies / "toy")
    run_trial(folder, 0)
    run_trial(folder, 1, weights={"shap": 0.0, "lime": 0.0, "sparse": 1.0}, mean=0.5)
    add_trial(folder, 2, "failed", reason="the rewards were not finite")
    add_trial(folder, 3, "running")
    event = Event(replicate=0, n_replicates=1, progress=TrialProgress(step=1, n_steps=4, point=point(0, 0.2)))
    folder.trial(3).append_event(event)
    folder.add_note("a first look")
    return folder


@pytest.fixture
def state_of() -> Callable[[Path], dict[str, tuple[int, int, bytes]]]:
    """Every file below a folder with its size, time and content."""

    def look(root: Path) -> dict[str, tuple[int, int, bytes]]:
        found = {}
        for folder, _, names in os.walk(root):
            for name in names:
                path = Path(folder) / name
                status = path.stat()
                found[str(path)] = (status.st_size, status.st_mtime_ns, path.read_bytes())
        return found

    return look


def events_of(text: str) -> list[dict[str, Any]]:
    """The changes in a piece of a stream."""
    return [json.loads(line.removeprefix("data: ")) for line in text.splitlines() if line.startswith("data: ")]
