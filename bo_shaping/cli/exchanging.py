"""Verbs that hand data over: ask and tell, for people with an inner loop of their own, and export."""

import json
from pathlib import Path
from typing import Annotated

import typer
from rich.text import Text

from bo_shaping.cli.output_file import write_output
from bo_shaping.cli.terms import JsonOption, StudyArgument, console, study_class
from bo_shaping.errors import OutputError, TellError
from bo_shaping.storage.study_folder import find_study
from bo_shaping.views.export import Format, export_ax_json, export_csv, export_json
from bo_shaping.views.trials_table import arm_text


def ask(study: StudyArgument, as_json: JsonOption = False) -> None:
    """Get the next trial, to train it yourself; `tell` hands its result over."""
    folder = find_study(study)
    folder.refuse_second_driver()
    index, _ = study_class().load(study).ask()
    record = folder.records()[index]
    if as_json:
        fields = {"index", "weights", "parameters", "seeds"}
        typer.echo(json.dumps(record.model_dump(mode="json", include=fields)))
        return
    seeds = " ".join(map(str, record.seeds))
    console.print(Text(f"trial {index}: {arm_text(record.weights, record.parameters)}; seed {seeds}"), soft_wrap=True)
    command = f"bo-shaping tell {folder.handle} {index} REWARD --kl KL"
    reward = folder.config().objective.reward_in_words
    console.print(Text(f"Hand its {reward} over with: {command}"), soft_wrap=True)


def tell(
    study: StudyArgument,
    index: Annotated[int, typer.Argument(metavar="TRIAL", help="The trial, as `ask` numbered it.")],
    mean: Annotated[
        float | None, typer.Argument(metavar="REWARD", help="Its reward, as objective.measure of the study says.")
    ] = None,
    sem: Annotated[
        float | None,
        typer.Option(help="Standard error of the reward over training seeds, for a trial with several."),
    ] = None,
    kl: Annotated[float | None, typer.Option(help="Final KL to the reference, in nats per response.")] = None,
    measures: Annotated[
        list[str] | None, typer.Option("--measure", metavar="NAME=VALUE", help="What else the study limits: length=20.")
    ] = None,
    failure: Annotated[
        str | None,
        typer.Option("--failed", metavar="REASON", help="Instead of a reward: why there will never be one."),
    ] = None,
) -> None:
    """Hand over the result of a trial that `ask` gave away, or give it up."""
    folder = find_study(study)
    folder.refuse_second_driver()
    if failure is None:
        if mean is None:
            raise TellError("Tell the REWARD of the trial, or why there will never be one with --failed REASON.")
        study_class().load(study).tell(index, mean, sem=sem, kl=kl, measures=_measures(measures or []))
    elif mean is not None or sem is not None or kl is not None or measures:
        raise TellError("A trial that failed has no outcome: leave out everything but --failed REASON.")
    else:
        study_class().load(study).tell_failed(index, failure)
    outcome = "completed" if failure is None else "failed"
    console.print(
        Text(f"Trial {index} is {outcome}; get the next one with: bo-shaping ask {folder.handle}"), soft_wrap=True
    )


def export(
    study: StudyArgument,
    form: Annotated[
        Format,
        typer.Option(
            "--format",
            help="A table, everything as JSON, an experiment of plain Ax, a storage of Optuna, the learned shaping.",
        ),
    ] = "csv",
    output: Annotated[
        Path | None,
        typer.Option(
            "-o", "--output", metavar="FILE", help="Where to write (a folder, of shaping); else it is printed."
        ),
    ] = None,
    responses: Annotated[
        bool, typer.Option("--responses", help="Of ax-json: with the explained responses, which make it larger.")
    ] = False,
) -> None:
    """Hand a study to other programs."""
    folder = find_study(study)
    if responses and form != "ax-json":
        raise OutputError(f"--responses is for --format ax-json; {form} has no room for explained responses.")
    if form == "optuna":
        if output is None:
            raise OutputError("Say where Optuna's storage is to be written: --output FILE.db")
        from bo_shaping.exchange.optuna_study import to_optuna

        n_trials = to_optuna(folder, output)
        typer.echo(f"{output}: {n_trials} trials; look at them with: optuna-dashboard sqlite:///{output}")
        return
    if form == "shaping":
        if output is None:
            raise OutputError("Say into which folder the shaping function is to be written: --output FOLDER")
        try:
            study_class().load(study).shaping_function().save(output)
        except ValueError as error:
            raise OutputError(str(error)) from error
        typer.echo(f"{output}: read it with ShapingFunction.load, or upload it to a hub as it is")
        return
    if form == "ax-json":
        text = export_ax_json(folder, keeps_responses=responses)
    else:
        text = {"csv": export_csv, "json": export_json}[form](folder)
    if output is None:
        typer.echo(text.removesuffix("\n"))
    else:
        write_output(output, text)
        typer.echo(str(output))


def _measures(texts: list[str]) -> dict[str, float]:
    measures = {}
    for text in texts:
        name, _, value = text.partition("=")
        try:
            measures[name] = float(value)
        except ValueError:
            raise TellError(f"A measure looks like length=20, got {text!r}.") from None
    return measures
