"""Run every notebook at toy size: `python -m experiments.run_notebooks`, as `make notebooks` and the CI do.

A toy study of a minute is made in a temporary folder; the notebooks look at it instead of a real one. The notebooks
themselves are not changed. Ends with exit code 1 and the failing cell if one of them fails.
"""

import os
import sys
import tempfile
import time
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError

from bo_shaping import Study, StudyConfig
from bo_shaping.storage.study_folder import ROOT_VARIABLE

ROOT = Path(__file__).resolve().parents[1]
STUDY_VARIABLE = "BO_SHAPING_STUDY"
"""Environment variable in which a notebook finds the folder of the study."""

CELL_SECONDS = 300
"""Longest time a cell may take."""

TOY = (
    "name=toy",
    "executor=inline",  # models are loaded once, not once per worker
    "budget.trials=6",
    "ppo.steps=2",
    "ppo.rollout_size=8",
    "ppo.minibatch_size=8",
    "ppo.epochs=1",
    "attribution.budget=16",
    "evaluation.n_prompts=16",
    "evaluation.every=1",
    "n_samples=3",
)
"""The quickstart, made so small that it shows nothing but that everything runs."""


def main() -> int:
    """Make the toy study and run all notebooks; returns the exit code."""
    with tempfile.TemporaryDirectory() as folder:
        os.environ[ROOT_VARIABLE] = folder
        started = time.monotonic()
        study = Study.launch(StudyConfig.from_yaml(ROOT / "experiments" / "quickstart.yaml", TOY))
        study.run()
        print(f"toy study: {len(study.results())} trials in {time.monotonic() - started:.0f} s", flush=True)
        os.environ[STUDY_VARIABLE] = str(study.path)
        failed = [path.name for path in sorted((ROOT / "notebooks").glob("*.ipynb")) if not run_notebook(path)]
    if failed:
        print(f"failed: {', '.join(failed)}", file=sys.stderr)
    return 1 if failed else 0


def run_notebook(path: Path) -> bool:
    """Execute one notebook in its own folder, without saving it; False if a cell failed, which is printed."""
    started = time.monotonic()
    notebook = nbformat.read(path, as_version=4)
    client = NotebookClient(
        notebook, timeout=CELL_SECONDS, kernel_name="python3", resources={"metadata": {"path": str(path.parent)}}
    )
    try:
        client.execute()
    except CellExecutionError as error:
        print(f"{path.name}: a cell failed\n{error}", file=sys.stderr)
        return False
    print(f"{path.name}: {time.monotonic() - started:.0f} s", flush=True)
    return True


if __name__ == "__main__":
    sys.exit(main())
