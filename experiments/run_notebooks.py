"""Run every notebook: at toy size as `make notebooks` and the CI do, or for real, keeping what they show.

    python -m experiments.run_notebooks          # a toy study in place of the stored one; nothing is written
    python -m experiments.run_notebooks --save   # the stored files; outputs are written into the notebooks
    python -m experiments.run_notebooks --save token_credit

Ends with exit code 1 and the failing cell if one of them fails.
"""

import argparse
import os
import re
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError

from bo_shaping import Study, StudyConfig
from bo_shaping.storage.study_folder import ROOT_VARIABLE

ROOT = Path(__file__).resolve().parents[1]
NOTEBOOKS = ROOT / "notebooks"
STUDY_VARIABLE = "BO_SHAPING_STUDY"
"""Environment variable in which a notebook finds the study; without it, it opens the stored one."""

CELL_SECONDS = 300
"""Longest time a cell may take."""

SHOWN = ("text/html", "image/png", "text/plain")
"""What a saved output may be: pages show all of it without a program of their own."""

WIDGET = "application/vnd.jupyter.widget-view+json"
"""What a progress bar is, which pages cannot show."""

MACHINE = re.compile(r"(?<![\w.:/-])/(?:tmp|home|root|work|usr|var|opt|mnt|Users)/[^\s'\"<>)]*")
"""Paths of the machine that ran the notebook."""

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


def main(arguments: list[str] | None = None) -> int:
    """Run the notebooks; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", help="notebooks, without .ipynb; all without any")
    parser.add_argument("--save", action="store_true", help="run for real and write the outputs into the notebooks")
    asked = parser.parse_args(arguments)
    paths = [path for path in sorted(NOTEBOOKS.glob("*.ipynb")) if path.stem in asked.names or not asked.names]
    if unknown := set(asked.names) - {path.stem for path in paths}:
        parser.error(f"there is no notebook {', '.join(sorted(unknown))} in {NOTEBOOKS}")
    if asked.save:
        os.environ.pop(STUDY_VARIABLE, None)
        failed = [path.name for path in paths if not run_notebook(path, save=True)]
    else:
        with toy_study():
            failed = [path.name for path in paths if not run_notebook(path)]
    if failed:
        print(f"failed: {', '.join(failed)}", file=sys.stderr)
    return 1 if failed else 0


@contextmanager
def toy_study() -> Iterator[None]:
    """A small study in a temporary folder, which the notebooks look at in place of the stored one."""
    with tempfile.TemporaryDirectory() as folder:
        os.environ[ROOT_VARIABLE] = folder
        started = time.monotonic()
        study = Study.launch(StudyConfig.from_yaml(ROOT / "experiments" / "quickstart.yaml", TOY))
        study.run()
        print(f"toy study: {len(study.results())} trials in {time.monotonic() - started:.0f} s", flush=True)
        os.environ[STUDY_VARIABLE] = str(study.path)
        yield


def run_notebook(path: Path, *, save: bool = False) -> bool:
    """Execute one notebook in its own folder; False if a cell failed, which is printed.

    Args:
        path: Which.
        save: Whether its outputs are written into it; else it is not changed.
    """
    started = time.monotonic()
    notebook = nbformat.read(path, as_version=4)
    client = NotebookClient(
        nbformat.from_dict(notebook),
        timeout=CELL_SECONDS,
        kernel_name="python3",
        record_timing=False,
        resources={"metadata": {"path": str(path.parent)}},
    )
    try:
        executed = client.execute()
    except CellExecutionError as error:
        print(f"{path.name}: a cell failed\n{error}", file=sys.stderr)
        return False
    if save:
        # Only the cells: the kernel writes into the notebook which Python ran it.
        notebook.cells = [with_clean_outputs(cell) for cell in executed.cells]
        nbformat.write(notebook, path)
    print(f"{path.name}: {time.monotonic() - started:.0f} s", flush=True)
    return True


def with_clean_outputs(cell: nbformat.NotebookNode) -> nbformat.NotebookNode:
    """The cell with what belongs to what it shows: no warnings, no progress bars, no path of this machine."""
    if cell.cell_type == "code":
        kept = [output for output in cell.outputs if output.get("name") != "stderr"]
        cell.outputs = [output for output in map(_clean, kept) if output is not None]
        cell.metadata = {}
    return cell


def _clean(output: nbformat.NotebookNode) -> nbformat.NotebookNode | None:
    if output.output_type == "stream":
        output.text = without_machine(output.text)
        return output if output.text.strip() else None
    if WIDGET in output.data:
        return None
    data = {kind: output.data[kind] for kind in SHOWN if kind in output.data}
    output.data = {kind: text if kind == "image/png" else without_machine(text) for kind, text in data.items()}
    return output if data else None


def without_machine(text: str) -> str:
    """The text with a path of this machine cut to its last part, and without addresses of objects.

    >>> without_machine("read /tmp/tmpab12/mine/study.db of <Thing at 0x7f21>")
    'read study.db of <Thing>'
    """
    short = MACHINE.sub(lambda path: path[0].rstrip("/").rpartition("/")[2], text)
    return re.sub(r" at 0x[0-9a-f]+", "", short)


if __name__ == "__main__":
    sys.exit(main())
