"""Verbs that only look: status, watch, trials, logs, best, report. All but `report` need neither Ax nor torch."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from rich.text import Text

from bo_shaping.cli.terms import JsonOption, StudyArgument, TrialArgument, console, study_class
from bo_shaping.storage.recommendation_file import read_recommendation
from bo_shaping.storage.study_folder import find_study
from bo_shaping.text.hidden_characters import visible_text
from bo_shaping.views.credit_similarity import print_similarity, print_warnings, similarity_line
from bo_shaping.views.in_short import in_short
from bo_shaping.views.live import watch as watch_study
from bo_shaping.views.logs import log_lines, why_silent
from bo_shaping.views.recommendation_text import print_best, print_posterior
from bo_shaping.views.status import Status, study_status
from bo_shaping.views.trials_table import print_trials, print_what_reward_is


def status(study: StudyArgument, as_json: JsonOption = False) -> None:
    """Show how a study stands."""
    folder = find_study(study)
    current = study_status(folder)
    if as_json:
        similarity = folder.credit_similarity()
        components = asdict(similarity) if similarity is not None else None
        typer.echo(json.dumps(current.to_json() | {"components": components}, indent=1))
        return
    console.print(Text(current.headline()), soft_wrap=True)
    print_trials(console, current.trials)
    print_what_reward_is(console, current.reward)
    if similarity := folder.credit_similarity():
        console.print(Text(similarity_line(similarity)), soft_wrap=True)
        print_warnings(console, similarity)
    for note in folder.notes():
        console.print(Text(visible_text(f"noted {note}")), soft_wrap=True)


def watch(study: StudyArgument, as_json: JsonOption = False) -> None:
    """Watch a study that another process drives, until it ends. In a pipe: one line per change."""
    watch_study(find_study(study), console, as_json=as_json)


def trials(
    study: StudyArgument,
    only: Annotated[Status | None, typer.Option("--status", help="Only the trials that stand like this.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Show all trials: where each arm came from, its seeds, its reward, how long it took, why it failed."""
    current = study_status(find_study(study))
    chosen = [trial for trial in current.trials if only in (None, trial.status)]
    if as_json:
        typer.echo(json.dumps([trial.to_json() for trial in chosen], indent=1))
    elif chosen or only is None:
        print_trials(console, chosen, details=True)
        print_what_reward_is(console, current.reward)
    else:
        console.print(f"No trial is {only}.")


def logs(
    study: StudyArgument,
    trial: TrialArgument,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on printing until the trial has ended.")] = False,
) -> None:
    """Print what the training of a trial printed, tracebacks included."""
    folder = find_study(study)
    has_printed = False
    for line in log_lines(folder, trial, follow=follow):
        has_printed = True
        typer.echo(line)
    if not has_printed:
        typer.echo(why_silent(folder, trial), err=True)


def best(
    study: StudyArgument,
    posterior: Annotated[
        bool, typer.Option("--posterior", help="Everything that the Gaussian process knows about it.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Show the recommended weights, with 90 % credible intervals."""
    folder = find_study(study)
    stored = read_recommendation(folder)
    result = stored[0] if stored else study_class().load(study).best()
    if as_json:
        typer.echo(json.dumps(asdict(result), indent=1))
        return
    records = folder.records()
    print_best(console, result, records)
    console.print(Text(in_short(folder, folder.config(), result, records)), soft_wrap=True)
    if posterior:
        print_posterior(console, result)
        if similarity := folder.credit_similarity():
            print_similarity(console, similarity)


def report(
    study: StudyArgument,
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", metavar="DIR", help="Where to write; the study's folder by default."),
    ] = None,
    figures: Annotated[
        Path | None,
        typer.Option("--figures", metavar="DIR", help="Write every picture there, too, as PNG and SVG."),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Write the report: what was learned, in pictures and words."""
    find_study(study)
    from bo_shaping.views.report import write_report

    page = write_report(study_class().load(study), output, figures)
    typer.echo(json.dumps({"report": str(page)}) if as_json else str(page))
