"""What all verbs share: the console, the exit codes, and the arguments that mean the same everywhere."""

from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

if TYPE_CHECKING:
    from bo_shaping.study import Study

EXIT_UNHEALTHY, EXIT_BAD_INPUT, EXIT_LOCKED, EXIT_NO_RESULT, EXIT_INTERRUPTED = 1, 2, 3, 4, 130


class PipeConsole(Console):
    """A console whose reader may leave (`| head`) without ending the process, as Rich's own would."""

    def on_broken_pipe(self) -> None:
        """An error that somebody may catch; nobody prints it."""
        raise BrokenPipeError


console = PipeConsole(highlight=False)

StudyArgument = Annotated[str, typer.Argument(metavar="STUDY", help="Name or folder of a study, or its storage URL.")]
TrialArgument = Annotated[int, typer.Argument(metavar="TRIAL", min=0, help="Index of a trial.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def study_class() -> "type[Study]":
    """`Study`, which imports Ax."""
    from bo_shaping.study import Study

    return Study
