"""The verb that comes first: init."""

from importlib import resources
from pathlib import Path
from typing import Annotated

import typer

from bo_shaping.cli.output_file import write_output
from bo_shaping.cli.terms import console
from bo_shaping.errors import OutputError
from inner_loop.io.schema import nearest

TASKS = ("quickstart", "sentiment-smollm2", "mine")


def init(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Configuration to write.")] = Path("study.yaml"),
    task: Annotated[str, typer.Option(help=f"What it is about: {', '.join(TASKS)}.")] = TASKS[0],
) -> None:
    """Write a commented configuration, from which `launch` makes a study."""
    if task not in TASKS:
        raise OutputError(f"Unknown task {task!r}, did you mean {nearest(task, TASKS)!r}? Tasks: {', '.join(TASKS)}.")
    if file.exists():
        raise OutputError(f"{file} exists already; name another file: bo-shaping init OTHER.yaml")
    write_output(file, template(task).replace("STUDY.yaml", str(file)).replace("STUDY", file.stem))
    console.print(f"Wrote {file}; run it with: bo-shaping launch {file}", soft_wrap=True, markup=False)


def template(task: str) -> str:
    """The text of a template; `STUDY` stands for the name of the study, which is that of its file."""
    return resources.files("bo_shaping.cli").joinpath("templates", f"{task}.yaml").read_text(encoding="utf-8")
