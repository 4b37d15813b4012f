"""Verbs that judge with fresh trainings: train, compare."""

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer
from rich.progress import Progress
from rich.text import Text

from bo_shaping.cli.driving import SettingsOption
from bo_shaping.cli.output_file import write_output
from bo_shaping.cli.terms import EXIT_INTERRUPTED, JsonOption, StudyArgument, console, study_class
from bo_shaping.config import StudyConfig
from bo_shaping.storage.study_folder import find_study

if TYPE_CHECKING:
    from bo_shaping.study import Study

SplitOption = Annotated[
    Literal["heldout", "validation"],
    typer.Option(help="Prompts to judge on; a search has seen those of validation."),
]


def train(
    study: StudyArgument,
    seeds: Annotated[int, typer.Option(min=1, help="Trainings, with seeds that no trial has had.")] = 1,
    trial: Annotated[
        int | None, typer.Option(min=0, metavar="TRIAL", help="The arm of this trial, in place of the recommendation.")
    ] = None,
    beside_sparse: Annotated[
        bool, typer.Option("--beside-sparse", help="Also train sparse at its own best, with the same seeds.")
    ] = False,
    steps: Annotated[int | None, typer.Option(min=1, help="PPO steps, in place of the study's.")] = None,
    split: SplitOption = "heldout",
    as_json: JsonOption = False,
) -> None:
    """Train policies with what a study recommends, and keep them as folders that transformers loads.

    They go to STUDY/trained. What is done there already is not done again, and what was interrupted goes on.
    """
    folder = find_study(study)
    from bo_shaping.comparison import settings
    from bo_shaping.comparison.fresh_trainings import train as train_settings
    from bo_shaping.views.trained_table import print_trained, trained_json

    records = folder.records()
    if trial is not None:
        wanted = [settings.of_trial(records, trial)]
    else:
        wanted = [settings.recommended(study_class().load(study).best())]
    if beside_sparse:
        wanted.append(settings.sparse_at_its_best(records))
    config = folder.config()
    jobs = [
        (each, settings.jobs_of(config, each, seeds, split=split, steps=steps, keeps_policy=True)) for each in wanted
    ]
    with _going_on(), _progress(as_json) as on_change:
        trained = train_settings(config, folder.path / "trained", jobs, on_change)
    if as_json:
        typer.echo(json.dumps(trained_json(trained), indent=1))
    else:
        print_trained(console, trained, keeps_policy=True)


def compare(
    config: Annotated[Path, typer.Argument(metavar="CONFIG.yaml", help="Task, training, and the ranges to tune over.")],
    methods: Annotated[
        str,
        typer.Option(
            help="Components, and learned for their mixture, between commas; shap-untuned for shap as it is given."
        ),
    ],
    seeds: Annotated[int, typer.Option(min=1, help="Trainings of each, with seeds that no trial has had.")] = 5,
    budget: Annotated[int | None, typer.Option(min=3, help="Trials to tune each with, in place of the file's.")] = None,
    split: SplitOption = "heldout",
    settings: SettingsOption = None,
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", metavar="FILE.json", help="Write everything there, curves included."),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Compare ways to pay tokens, each at its own best parameters, under the same fresh seeds.

    The same command given again goes on where it was stopped.
    """
    from bo_shaping.comparison.compare import compare as compare_methods
    from bo_shaping.comparison.stored import comparison_json
    from bo_shaping.views.comparison_table import print_comparison

    read = StudyConfig.from_yaml(config, settings or ())
    n_trials = budget or read.budget.trials
    with _going_on(), _progress(as_json) as on_change:
        comparison, trained = compare_methods(
            read,
            [method.strip() for method in methods.split(",") if method.strip()],
            n_seeds=seeds,
            n_trials=n_trials,
            split=split,
            on_tune=_announce(as_json),
            on_train=on_change,
        )
    data = comparison_json(comparison, trained, read)
    if output is not None:
        write_output(output, json.dumps(data, indent=1) + "\n")
    if as_json:
        typer.echo(json.dumps(data, indent=1))
    else:
        print_comparison(console, comparison)


def _announce(is_quiet: bool) -> Callable[["Study", int], Callable[[], None]]:
    def announce(study: "Study", n_trials: int) -> Callable[[], None]:
        n_known = len(study.folder.records())
        if n_known < n_trials and not is_quiet:
            console.print(Text(f"Tuning {study.name}: {n_known} of {n_trials} trials are there."), soft_wrap=True)
        return lambda: None

    return announce


@contextmanager
def _progress(is_quiet: bool) -> Iterator[Callable[[int, int], None]]:
    """Yields what shows how many trainings have ended."""
    with Progress(console=console, transient=True, disable=is_quiet or not console.is_terminal) as progress:
        task = progress.add_task("trainings", total=None)
        yield lambda n_done, n_jobs: progress.update(task, completed=n_done, total=n_jobs)


@contextmanager
def _going_on() -> Iterator[None]:
    """After Ctrl-C, says how to go on."""
    try:
        yield
    except KeyboardInterrupt:
        typer.echo("Interrupted; the same command goes on from there.", err=True)
        sys.exit(EXIT_INTERRUPTED)
