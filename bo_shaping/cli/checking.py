"""The verb that looks for problems: doctor."""

import json
import sys
from dataclasses import asdict
from typing import Annotated

import typer
from rich.text import Text

from bo_shaping.cli.terms import EXIT_UNHEALTHY, JsonOption, console
from bo_shaping.storage.study_folder import find_study
from bo_shaping.text.hidden_characters import visible_text


def doctor(
    study: Annotated[
        str | None, typer.Argument(metavar="[STUDY]", help="The study to examine; else only the installation is.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Look for what is wrong with an installation or a study, and name the remedy. Changes nothing."""
    from bo_shaping.views.doctor import examine

    findings = examine(find_study(study) if study is not None else None)
    if as_json:
        typer.echo(json.dumps([asdict(finding) for finding in findings], indent=1))
    else:
        for finding in findings:
            mark = ("ok     ", "green") if finding.is_ok else ("problem", "bold red")
            console.print(Text.assemble(mark, f"  {finding.check}: ", visible_text(finding.text)), soft_wrap=True)
            if finding.remedy:
                console.print(Text(f"         remedy: {visible_text(finding.remedy)}"), soft_wrap=True)
    if not all(finding.is_ok for finding in findings):
        sys.exit(EXIT_UNHEALTHY)
