"""Run one of the published comparisons, or make its page again from what is stored.

    python -m experiments.results embedded_sentiment            # hours; the same command goes on after an interruption
    python -m experiments.results embedded_sentiment --pages    # seconds
    python -m experiments.results embedded_sentiment --methods gradient --add    # one more, beside what is stored

The page, its picture and the JSON with all learning curves stand beside this file.
"""

import argparse
import json
import subprocess
import sys
from typing import Any

from bo_shaping.comparison.stored import read_comparison
from bo_shaping.config import StudyConfig
from bo_shaping.views.report.comparison_figures import by_kl_figure, by_step_figure
from experiments.benchmarks.results_file import environment, one_record_a_line
from experiments.results.added import AddedError, check_more, with_more
from experiments.results.page import page_of
from experiments.results.papers import write_overview
from experiments.results.tasks import TASKS, ResultTask, task_named

DPI = 90


def main(arguments: list[str] | None = None) -> int:
    """The command line; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("task", choices=[task.name for task in TASKS])
    parser.add_argument("--pages", action="store_true", help="train nothing: page and picture from what is stored")
    parser.add_argument("--seeds", type=int, help="trainings of each method, in place of the task's")
    parser.add_argument("--remark", help="what a reader must know of the machine, such as other work on it")
    parser.add_argument("--methods", help="between commas, in place of all")
    parser.add_argument("--add", action="store_true", help="put these --methods beside those that are stored")
    options = parser.parse_args(arguments)
    task = task_named(options.task)
    if not options.pages:
        n_seeds = options.seeds or task.n_seeds
        methods = options.methods.split(",") if options.methods else list(task.methods)
        try:
            code = (_add if options.add else _run)(task, n_seeds, methods, options.remark)
        except AddedError as error:
            sys.exit(f"error: {error}")
        if code:
            return code
    write_pages(task)
    return 0


def write_pages(task: ResultTask) -> None:
    """Page and picture of a task, and the page that sets all tasks beside the papers."""
    task.page.write_text(page_of(task, task.stored), encoding="utf-8")
    stored = read_comparison(task.stored)
    by_step_figure(stored).savefig(task.pictures["steps"], dpi=DPI)
    by_kl_figure(stored).savefig(task.pictures["kl"], dpi=DPI)
    write_overview()


def _run(task: ResultTask, n_seeds: int, methods: list[str], remark: str | None) -> int:
    """Compare, and store it in place of what is stored."""
    data, code = _compared(task, n_seeds, methods, remark)
    if data:
        store(task, data)
    return code


def _add(task: ResultTask, n_seeds: int, methods: list[str], remark: str | None) -> int:
    """Compare, and put it beside what is stored.

    Raises:
        AddedError: If that cannot be; where it is known before anything is trained, then.
    """
    if not task.stored.exists():
        raise AddedError(f"There is nothing stored of {task.name} to add to; run it without --add.")
    stored = json.loads(task.stored.read_text(encoding="utf-8"))
    config = StudyConfig.from_yaml(task.config, ()).model_dump(mode="json")
    check_more(stored, methods, n_seeds=n_seeds, config=config)
    # A comparison takes two at least.
    data, code = _compared(task, n_seeds, methods if len(methods) > 1 else [stored["baseline"], *methods], remark)
    if data:
        store(task, with_more(stored, data, task.stored.with_suffix(".whole.json")))
        task.stored.with_suffix(".whole.json").unlink()
    return code


def _compared(
    task: ResultTask, n_seeds: int, methods: list[str], remark: str | None
) -> tuple[dict[str, Any] | None, int]:
    """What a comparison came to, with the machine it ran on, and its exit code; None if it failed."""
    written = task.stored.with_suffix(".new.json")
    command = [sys.executable, "-m", "bo_shaping.cli", "compare", task.config, "--methods", ",".join(methods)]
    done = subprocess.run([*map(str, command), "--seeds", str(n_seeds), "-o", str(written)], check=False)
    if done.returncode:
        return None, done.returncode
    data = json.loads(written.read_text(encoding="utf-8"))
    written.unlink()
    return data | {"environment": environment({}) | {"commit": _commit()}, "remark": remark}, 0


def store(task: ResultTask, data: dict[str, Any]) -> None:
    """Keep what came out."""
    task.stored.write_text(one_record_a_line(data) + "\n", encoding="utf-8")


def _commit() -> str:
    """The commit that was run, and whether files had changed since."""
    described = subprocess.run(
        ["git", "describe", "--always", "--dirty", "--exclude=*"], capture_output=True, text=True, check=False
    )
    return described.stdout.strip()


if __name__ == "__main__":
    sys.exit(main())
