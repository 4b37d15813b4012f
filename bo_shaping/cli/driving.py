"""Verbs that spend a budget: launch, resume, stop, retry."""

import json
import shlex
import sys
import time
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.text import Text

from bo_shaping.cli.terms import (
    EXIT_INTERRUPTED,
    EXIT_NO_RESULT,
    EXIT_UNHEALTHY,
    StudyArgument,
    TrialArgument,
    console,
    study_class,
)
from bo_shaping.config import StudyConfig
from bo_shaping.errors import ConfigError, ExperimentFileError, StopRequested, TooFewTrialsError
from bo_shaping.running.kept_report import KeptReport, kept_report
from bo_shaping.storage.study_folder import find_study
from bo_shaping.text.hidden_characters import visible_text
from bo_shaping.views.credit_similarity import print_warnings
from bo_shaping.views.in_short import in_short
from bo_shaping.views.live import live_view
from bo_shaping.views.recommendation_text import print_best
from bo_shaping.views.status import study_status
from bo_shaping.views.unread import unread_of_study

if TYPE_CHECKING:
    from bo_shaping.study import Study

WAIT_SECONDS = 0.5
"""How often `stop` looks whether the driver has ended."""

SettingsOption = Annotated[
    list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Override a setting: --set ppo.steps=3")
]


def launch(
    config: Annotated[Path, typer.Argument(metavar="CONFIG.yaml", help="The study's configuration.")],
    name: Annotated[str | None, typer.Option(help="Name of the study, instead of the one in the file.")] = None,
    trials: Annotated[int | None, typer.Option(min=1, help="Trials in all, instead of the file's budget.")] = None,
    settings: SettingsOption = None,
    no_run: Annotated[
        bool, typer.Option("--no-run", help="Only create it: for `ask` and `tell`, with an inner loop of your own.")
    ] = False,
    sources: Annotated[
        list[str] | None,
        typer.Option(
            "--from",
            metavar="SOURCE",
            help="Begin with these trials: an Ax or table file, a database URL#NAME, another study. May be repeated.",
        ),
    ] = None,
    maps: Annotated[
        list[str] | None, typer.Option("--map", metavar="THEIRS=OURS", help="Which of their parameters is which.")
    ] = None,
    metrics: Annotated[
        list[str] | None, typer.Option("--metric", metavar="THEIRS=OURS", help="Which of their metrics is the reward.")
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only say what would run and what it costs, from one timed step.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="With --dry-run: print JSON.")] = False,
) -> None:
    """Create a study and run it."""
    if (maps or metrics) and not sources:
        raise ExperimentFileError("--map and --metric say what the names of a --from SOURCE mean; there is none.")
    overrides = list(settings or [])
    overrides += [f"name={json.dumps(name)}"] if name is not None else []
    overrides += [f"budget.trials={trials}"] if trials is not None else []
    if as_json and not dry_run:
        raise ConfigError("--json goes with --dry-run; of a study that runs, `bo-shaping watch STUDY --json` tells.")
    if dry_run:
        from_others = {"--from": sources or [], "--map": maps or [], "--metric": metrics or []}
        _rehearse(config, overrides, from_others, as_json)
        return
    study = study_class().launch(
        StudyConfig.from_yaml(config, overrides), sources=sources or (), maps=maps or (), metrics=metrics or ()
    )
    for line in [*(line for each in study.taken for line in each.sentences()), *study.remarks]:
        console.print(Text(visible_text(line)), soft_wrap=True)
    if no_run:
        console.print(
            Text(f"Created in {study.path}; get its first trial with: bo-shaping ask {study.folder.handle}"),
            soft_wrap=True,
        )
    else:
        _run(study, None)


def _rehearse(file: Path, overrides: list[str], from_others: dict[str, list[str]], as_json: bool) -> None:
    from bo_shaping.views.rehearsal import rehearse
    from bo_shaping.views.rehearsal_text import print_rehearsal

    sources, maps, metrics = from_others.values()
    rehearsal = rehearse(StudyConfig.from_yaml(file, overrides), sources=sources, maps=maps, metrics=metrics)
    if as_json:
        typer.echo(json.dumps(rehearsal.as_json(), indent=1))
    else:
        options = {"--set": overrides} | from_others
        given = [f"{option} {shlex.quote(each)}" for option, values in options.items() for each in values]
        command = " ".join([f"bo-shaping launch {shlex.quote(str(file))}", *given])
        print_rehearsal(console, rehearsal, command)
    if rehearsal.problem is not None:
        sys.exit(EXIT_UNHEALTHY)


def resume(
    study: StudyArgument,
    trials: Annotated[
        int | None, typer.Option(min=0, help="New trials to run; without it, the rest of the budget.")
    ] = None,
    rebuild: Annotated[
        bool, typer.Option("--rebuild", help="First rebuild a lost or damaged database from the study's journal.")
    ] = False,
    config: Annotated[
        Path | None, typer.Option(metavar="CONFIG.yaml", help="The configuration, if it is to be another from now on.")
    ] = None,
    settings: SettingsOption = None,
    allow_change: Annotated[
        bool, typer.Option("--allow-change", help="Go on although earlier trials were run under other settings.")
    ] = False,
    name: Annotated[str | None, typer.Option(help="With a file in place of STUDY: name of the new study.")] = None,
) -> None:
    """Continue a study: finish what was interrupted, then run more trials.

    STUDY may be the `ax_experiment.json` of a study that is elsewhere: a new one goes on from it.
    """
    if Path(study).is_file():
        if rebuild or config is not None:
            raise ExperimentFileError(f"{study} is a file: --rebuild and --config are for studies that are here.")
        made = study_class().from_ax(study, name=name, settings=settings or (), allow_change=allow_change)
        console.print(Text(f"Made {made.path} from {study}."), soft_wrap=True)
        _run(made, trials)
        return
    if name is not None:
        raise ExperimentFileError(f"--name goes with a file, and {study} is none.")
    folder = find_study(study)
    folder.refuse_second_driver()
    if rebuild:
        study_class().rebuild(study)
    changed = None
    if config is not None or settings:
        # Not the folder's name, which may be another by now.
        name = f"name={json.dumps(folder.config().name)}"
        changed = StudyConfig.from_yaml(config or folder.config_file, [*(settings or []), name])
    _run(study_class().load(study, config=changed, allow_change=allow_change), trials)


def stop(study: StudyArgument) -> None:
    """Ask the process that drives a study to end, as after Ctrl-C, and wait until it has."""
    folder = find_study(study)
    driver = folder.driver()
    if not folder.request_stop():
        console.print(f"Nobody is driving {folder.path.name}.", markup=False, soft_wrap=True)
        return
    console.print(f"Asked {driver} to stop; waiting for it.", markup=False, soft_wrap=True)
    while folder.driver() == driver:
        time.sleep(WAIT_SECONDS)
        # Again: a driver that had only just begun was not ready to be asked.
        folder.request_stop()
    console.print(f"Stopped; continue with: bo-shaping resume {folder.handle}", markup=False, soft_wrap=True)


def retry(study: StudyArgument, trial: TrialArgument) -> None:
    """Give a failed trial another chance, with the same weights: the next `resume` runs it, or `tell` ends it."""
    folder = find_study(study)
    folder.refuse_second_driver()
    study_class().load(study).retry(trial)
    text = f"Trial {trial} is run again by: bo-shaping resume {folder.handle}"
    if folder.records()[trial].status == "asked":
        tell = f"bo-shaping tell {folder.handle} {trial} REWARD --kl KL"
        text = f"Trial {trial} waits again; hand its result over with: {tell}"
    console.print(text, soft_wrap=True, markup=False)


def _run(study: "Study", n_new: int | None) -> None:
    """Run with a live view and a report that is kept up to date, then say what was learned."""
    with kept_report(study.folder) as report:
        _run_and_tell(study, n_new, report)
        if line := report.finish():
            console.print(Text(line), soft_wrap=True)


def _run_and_tell(study: "Study", n_new: int | None, report: KeptReport) -> None:
    n_known = len(study.folder.records())
    n_trials = max(n_known, study.config.budget.trials) if n_new is None else n_known + n_new
    if n_new is None and n_known >= study.config.budget.trials and not study_status(study.folder).count("interrupted"):
        console.print(f"All {n_known} trials of the budget are there; add more with --trials N.", soft_wrap=True)
    try:
        with (
            live_view(study.folder, n_trials, console) as show,
            warnings.catch_warnings(),
        ):
            _show_trackers_warnings()

            def on_change() -> None:
                show()
                report.look()

            study.run(n_new, on_change)
    except KeyboardInterrupt as interrupt:
        word = "Stopped" if isinstance(interrupt, StopRequested) else "Interrupted"
        typer.echo(f"{word}; continue with: bo-shaping resume {study.folder.handle}", err=True)
        sys.exit(EXIT_INTERRUPTED)
    if study.why_enough is not None:
        setting = "budget.stop_when_regret_below"
        console.print(Text(f"The study knows enough ({setting}): {study.why_enough}."), soft_wrap=True)
    results = study.folder.first_results()
    if note := unread_of_study(results, study.config.task.long_responses):
        console.print(f"Note: {note}", soft_wrap=True)
    try:
        found, records = study.best(), study.folder.records()
        print_best(console, found, records)
        console.print(Text(in_short(study.folder, study.config, found, records)), soft_wrap=True)
        if similarity := study.credit_similarity(results):
            print_warnings(console, similarity)
    except TooFewTrialsError as error:
        console.print(Text(str(error)), soft_wrap=True)
        if n_new != 0 and not study_status(study.folder).count("completed"):
            typer.echo(f"No trial was completed; see why with: bo-shaping trials {study.folder.handle}", err=True)
            sys.exit(EXIT_NO_RESULT)


def _show_trackers_warnings() -> None:
    """Let what a tracker has through, of all warnings, as a sentence without a line of our code."""
    from bo_shaping.tracking.feed import TrackingWarning

    def say(message: Warning | str, *where: Any, **more: Any) -> None:
        typer.echo(visible_text(f"Note: {message}"), err=True)

    warnings.simplefilter("always", TrackingWarning)
    warnings.showwarning = say
