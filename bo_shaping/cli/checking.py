"""The verb that looks for problems: doctor."""

import json
import shlex
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.text import Text

from bo_shaping.cli.terms import EXIT_UNHEALTHY, JsonOption, console
from bo_shaping.config import StudyConfig
from bo_shaping.errors import ConfigError
from bo_shaping.storage.study_folder import find_study
from bo_shaping.text.hidden_characters import visible_text

if TYPE_CHECKING:
    from bo_shaping.views.doctor import Finding


CONFIG_ENDS = (".yaml", ".yml")


def doctor(
    study: Annotated[
        str | None,
        typer.Argument(
            metavar="[STUDY|CONFIG.yaml]",
            help="The study to examine, or a configuration to try before its launch; else only the installation is.",
        ),
    ] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Override a setting of the configuration; may be repeated."),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Look for what is wrong with an installation, a study or a configuration, and name the remedy. Changes nothing."""
    if study is not None and study.endswith(CONFIG_ENDS) and not Path(study).is_dir():
        _look_at_config(study, settings or [], as_json)
        return
    if settings:
        raise ConfigError("--set changes a configuration that is tried; give the path of one, CONFIG.yaml.")
    from bo_shaping.views.doctor import examine

    findings = examine(find_study(study) if study is not None else None)
    if as_json:
        typer.echo(json.dumps([asdict(finding) for finding in findings], indent=1))
    else:
        _print_findings(findings)
    if not all(finding.is_ok for finding in findings):
        sys.exit(EXIT_UNHEALTHY)


def _look_at_config(file: str, settings: list[str], as_json: bool) -> None:
    from bo_shaping.views.explain_text import print_table
    from bo_shaping.views.first_look import look_at

    look = look_at(StudyConfig.from_yaml(file, settings))
    if as_json:
        typer.echo(json.dumps(look.as_json(), indent=1))
    else:
        for number, shown in enumerate(look.responses, start=1):
            console.print(f"prompt {number}, {shown.n_prompt_tokens} tokens, as the policy reads it:", style="bold")
            _print_text(shown.prompt)
            cut = ", cut at the limit" if shown.is_cut else ""
            facts = f"{len(shown.explained.tokens)} tokens{cut}, score {shown.explained.score:.4g}"
            console.print(f"response, {facts}:", style="bold")
            _print_text(shown.explained.response)
            print_table(shown.credit, console, what="part")
            console.print()
        _print_findings(look.findings)
        problem = look.problem
        command = " ".join(
            [f"bo-shaping launch {shlex.quote(file)}", *(f"--set {shlex.quote(setting)}" for setting in settings)]
        )
        last = f"ready: {command}" if problem is None else f"mend first: {problem.remedy or problem.text}"
        console.print(Text(visible_text(last)), soft_wrap=True)
    if look.problem is not None:
        sys.exit(EXIT_UNHEALTHY)


def _print_text(text: str) -> None:
    for line in text.split("\n"):
        console.print(Text(visible_text(line)), soft_wrap=True)


def _print_findings(findings: Sequence["Finding"]) -> None:
    for finding in findings:
        mark = ("ok     ", "green") if finding.is_ok else ("problem", "bold red")
        console.print(Text.assemble(mark, f"  {finding.check}: ", visible_text(finding.text)), soft_wrap=True)
        if finding.remedy:
            console.print(Text(f"         remedy: {visible_text(finding.remedy)}"), soft_wrap=True)
