"""The `bo-shaping` command.

Exit codes: 0 done, 1 `doctor` or a dry run found something (or nobody reads what is printed), 2 bad input, 3 the study
is driven by another process, 4 the study ended without a result, 130 interrupted or stopped.

Ax and torch take seconds to import, so that a verb loads them when it needs them and not before.
"""

import logging
import os
import signal
import sys
import warnings
from collections.abc import Callable
from types import FrameType
from typing import Annotated, NoReturn

import typer

from bo_shaping import __version__
from bo_shaping.cli.checking import doctor
from bo_shaping.cli.driving import launch, resume, retry, stop
from bo_shaping.cli.exchanging import ask, export, tell
from bo_shaping.cli.explaining import explain
from bo_shaping.cli.keeping import copy, delete, list_studies, note, rename
from bo_shaping.cli.looking import best, logs, report, status, trials, watch
from bo_shaping.cli.serving import serve
from bo_shaping.cli.starting import init
from bo_shaping.cli.terms import EXIT_BAD_INPUT, EXIT_LOCKED, EXIT_NO_RESULT
from bo_shaping.cli.training import compare, train
from bo_shaping.errors import BoShapingError, StudyLockedError, TooManyFailuresError
from bo_shaping.text.hidden_characters import visible_text
from bo_shaping.text.reasons import sentence_of
from inner_loop.errors import InnerLoopError

__all__ = ["app", "main"]

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Learn how to mix SHAP, LIME and sparse token rewards for RLHF by Bayesian optimisation.",
)


def _print_version(is_asked: bool) -> None:
    if is_asked:
        typer.echo(__version__)
        raise typer.Exit


_VERBS: dict[str, list[Callable[..., None]]] = {
    "Run a study": [init, launch, resume, stop, retry],
    "Look at a study": [status, watch, trials, logs, best, report, serve, export, doctor],
    "Train with what was learned": [train, compare],
    "Keep studies": [list_studies, copy, rename, delete, note],
    "Train yourself what a study asks for": [ask, tell],
    "Without a study": [explain],
}
for _panel, _verbs in _VERBS.items():
    for _verb in _verbs:
        # A negative reward (`tell`) would otherwise be taken for an option.
        _settings = {"ignore_unknown_options": _verb is tell}
        _name = "list" if _verb is list_studies else None
        app.command(_name, rich_help_panel=_panel, context_settings=_settings)(_verb)


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", is_eager=True, callback=_print_version, help="Print it.")
    ] = False,
) -> None:
    """What stands before every verb."""


def main() -> None:
    """Entry point: errors that have a remedy become one sentence and an exit code."""
    # Before torch is imported: threads of the driver would fight with those of the trials.
    for variable, value in (("OMP_NUM_THREADS", "1"), ("OMP_WAIT_POLICY", "passive"), ("GOMP_SPINCOUNT", "0")):
        os.environ.setdefault(variable, value)
    # As with `python -m`: module:function is found in the current folder.
    sys.path.insert(0, os.getcwd())
    # Ax, BoTorch and their dependencies talk on import and at every fit.
    warnings.filterwarnings("ignore")
    logging.disable(logging.WARNING)
    # `kill` and a shutdown end a study as Ctrl-C does. A shell that starts a command in the background of a script lets
    # it ignore Ctrl-C, so there this is the way.
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        app()
    except StudyLockedError as error:
        _exit(error, EXIT_LOCKED)
    except TooManyFailuresError as error:
        _exit(error, EXIT_NO_RESULT)
    except BrokenPipeError:
        # The reader has what it wanted (`| head`); what is left would fail when Python flushes it.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except (BoShapingError, InnerLoopError, OSError) as error:
        _exit(error, EXIT_BAD_INPUT)


def _exit(error: Exception, code: int) -> NoReturn:
    typer.echo(f"bo-shaping: {visible_text(sentence_of(error))}", err=True)
    sys.exit(code)


def _interrupt(signal_number: int, frame: FrameType | None) -> NoReturn:
    raise KeyboardInterrupt
