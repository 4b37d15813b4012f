"""The `bo-shaping` command. Exit codes: 0 done, 2 bad input, 3 the study is driven by another process, 130 interrupted.

Ax and torch take seconds to import, so that a verb loads them when it needs them and not before.
"""

import json
import logging
import os
import sys
import warnings
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.markup import escape

from bo_shaping.config import StudyConfig
from bo_shaping.errors import BoShapingError, StudyLockedError, TooFewTrialsError
from bo_shaping.explain_input import MASKINGS, METHODS, UNITS, check_settings, read_texts
from bo_shaping.live import live_view, trials_table
from bo_shaping.status import study_status
from bo_shaping.store import find_study
from inner_loop.errors import InnerLoopError

if TYPE_CHECKING:
    from bo_shaping.recommendation import Best
    from bo_shaping.study import Study

EXIT_BAD_INPUT, EXIT_LOCKED, EXIT_INTERRUPTED = 2, 3, 130

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Learn how to mix SHAP, LIME and sparse token rewards for RLHF by Bayesian optimisation.",
)
console = Console(highlight=False)

StudyArgument = Annotated[str, typer.Argument(metavar="STUDY", help="Name or folder of a study, or its storage URL.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@app.command()
def launch(
    config: Annotated[Path, typer.Argument(metavar="CONFIG.yaml", help="The study's configuration.")],
    name: Annotated[str | None, typer.Option(help="Name of the study, instead of the one in the file.")] = None,
    trials: Annotated[int | None, typer.Option(min=1, help="Trials in all, instead of the file's budget.")] = None,
    settings: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Override a setting: --set ppo.steps=3")
    ] = None,
) -> None:
    """Create a study and run it."""
    overrides = list(settings or [])
    overrides += [f"name={json.dumps(name)}"] if name is not None else []
    overrides += [f"budget.trials={trials}"] if trials is not None else []
    study_config = StudyConfig.from_yaml(config, overrides)
    study = _study_class().launch(study_config)
    _run(study, None)


@app.command()
def resume(
    study: StudyArgument,
    trials: Annotated[
        int | None, typer.Option(min=0, help="New trials to run; without it, the rest of the budget.")
    ] = None,
    rebuild: Annotated[
        bool, typer.Option("--rebuild", help="First rebuild a lost or damaged database from the trial folders.")
    ] = False,
) -> None:
    """Continue a study: finish what was interrupted, then run more trials."""
    find_study(study).refuse_second_driver()
    study_class = _study_class()
    _run(study_class.rebuild(study) if rebuild else study_class.load(study), trials)


@app.command()
def status(study: StudyArgument, as_json: JsonOption = False) -> None:
    """Show the trials of a study."""
    current = study_status(find_study(study))
    if as_json:
        typer.echo(json.dumps(current.to_json(), indent=1))
        return
    driven = f"driven by {current.driver}" if current.driver else "nobody is driving it"
    counts = ", ".join(
        f"{n} {word}" for word in ("completed", "failed", "running", "interrupted") if (n := current.count(word))
    )
    console.print(
        escape(f"{current.name}: {counts or 'no trials yet'}, budget {current.budget}; {driven}"), soft_wrap=True
    )
    console.print(trials_table(current))


@app.command()
def best(study: StudyArgument, as_json: JsonOption = False) -> None:
    """Show the recommended weights, with 90 % credible intervals."""
    from bo_shaping.recommendation import read_recommendation

    stored = read_recommendation(find_study(study))
    result = stored[0] if stored else _study_class().load(study).best()
    if as_json:
        typer.echo(json.dumps(asdict(result), indent=1))
    else:
        _print_best(result)


@app.command()
def report(
    study: StudyArgument,
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", metavar="DIR", help="Where to write; the study's folder by default."),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Write the report: what was learned, in pictures and words."""
    find_study(study)
    from bo_shaping.report import write_report

    page = write_report(_study_class().load(study), output)
    typer.echo(json.dumps({"report": str(page)}) if as_json else str(page))


@app.command()
def explain(
    reward_model: Annotated[
        str, typer.Option(metavar="NAME_OR_PATH", help="A sequence classifier, or module:function.")
    ] = "embedded",
    prompt: Annotated[str | None, typer.Option(metavar="TEXT", help="What the response answers; never masked.")] = None,
    response: Annotated[str | None, typer.Option(metavar="TEXT", help="What to explain the score of.")] = None,
    file: Annotated[
        Path | None, typer.Option(metavar="F.jsonl", help='Lines {"prompt": ..., "response": ...} instead.')
    ] = None,
    method: Annotated[
        list[str] | None,
        typer.Option(help=f"{', '.join(METHODS)}; repeat it to compare.", show_default="shapley"),
    ] = None,
    units: Annotated[str, typer.Option(help=f"What is credited: {', '.join(UNITS)}.")] = "auto",
    masking: Annotated[str, typer.Option(help=f"What happens to absent units: {', '.join(MASKINGS)}.")] = "remove",
    budget: Annotated[int, typer.Option(metavar="N", help="Most reward-model evaluations per response.")] = 64,
    chat_template: Annotated[
        bool, typer.Option("--chat-template", help="Score in the chat template of the reward model's tokenizer.")
    ] = False,
    html: Annotated[Path | None, typer.Option(metavar="F.html", help="Write a page instead of printing.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Show which parts of a response earned its score; no study, no training."""
    methods = list(dict.fromkeys(method or ["shapley"]))
    check_settings(methods, units, masking, budget, html)
    prompts, responses = read_texts(prompt, response, file)
    from bo_shaping.explain_view import credits_json, print_credits
    from inner_loop import attribution

    credits_ = attribution.explain(
        reward_model,
        prompts,
        responses,
        methods=methods,
        units=units,
        budget=budget,
        masking=masking,
        chat_template=chat_template,
    )
    if html is not None:
        from bo_shaping.executors.folder import write_atomically
        from bo_shaping.report.explain_page import explain_page

        write_atomically(html, explain_page(credits_, reward_model))
    if as_json:
        typer.echo(json.dumps(credits_json(credits_), indent=1))
    elif html is not None:
        typer.echo(str(html))
    else:
        print_credits(credits_, console)


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
    try:
        app()
    except StudyLockedError as error:
        _exit(error, EXIT_LOCKED)
    except (BoShapingError, InnerLoopError, OSError) as error:
        _exit(error, EXIT_BAD_INPUT)


def _exit(error: Exception, code: int) -> None:
    typer.echo(f"bo-shaping: {' '.join(str(error).split())}", err=True)
    sys.exit(code)


def _study_class() -> "type[Study]":
    from bo_shaping.study import Study

    return Study


def _run(study: "Study", n_new: int | None) -> None:
    """Run with a live view, then say what was learned."""
    n_known = len(study.folder.records())
    n_trials = max(n_known, study.config.budget.trials) if n_new is None else n_known + n_new
    if n_new is None and n_known >= study.config.budget.trials and not study_status(study.folder).count("interrupted"):
        console.print(f"All {n_known} trials of the budget are there; add more with --trials N.", soft_wrap=True)
    try:
        with live_view(study.folder, n_trials, console) as on_change:
            study.run(n_new, on_change)
    except KeyboardInterrupt:
        typer.echo(f"Interrupted; continue with: bo-shaping resume {study.folder.handle}", err=True)
        sys.exit(EXIT_INTERRUPTED)
    try:
        _print_best(study.best())
    except TooFewTrialsError as error:
        console.print(escape(str(error)), soft_wrap=True)


def _print_best(result: "Best") -> None:
    for title, values in (("weights", result.weights), ("parameters", result.parameters)):
        for name, value in values.items():
            low, high = result.interval[name]
            console.print(f"{title[:-1]:>9} {name:<12} {value:6.3g}   90 % between {low:.3g} and {high:.3g}")
    low, high = result.mean_interval
    console.print(f"expected reward {result.mean:.3f} ({low:.3f} to {high:.3f}), expected KL {result.kl:.1f}")
    rivals = ", ".join(f"{name} {probability:.0%}" for name, probability in result.prob_better_than.items())
    console.print(f"probability of being better than: {rivals}")
    console.print(f"from {result.n_trials} completed trials; the nearest is trial {result.nearest_trial}")
    if result.note:
        console.print(f"Note: {escape(result.note)}", soft_wrap=True)


if __name__ == "__main__":
    main()
