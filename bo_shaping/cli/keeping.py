"""Verbs for studies as things: list, copy, rename, delete, note."""

import json
from pathlib import Path
from typing import Annotated

import typer
from rich.text import Text

from bo_shaping.cli.terms import JsonOption, StudyArgument, console
from bo_shaping.errors import StudyNotFoundError
from bo_shaping.storage.study_folder import find_study, studies_root
from bo_shaping.text.hidden_characters import visible_text
from bo_shaping.text.passwords import without_password
from bo_shaping.views.studies_table import lines_of_database, print_studies, study_lines

NewNameArgument = Annotated[str, typer.Argument(metavar="NAME", help="The new name.")]


def list_studies(
    place: Annotated[
        str | None, typer.Argument(metavar="DIR|URL", help="A folder of studies or a database; your folder by default.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Show all studies: how they stand, what they recommend, when they changed."""
    if place is not None and "://" in place:
        where, lines = without_password(place), lines_of_database(place)
    else:
        where, root = place or str(studies_root()), studies_root() if place is None else Path(place)
        if place is not None and not root.is_dir():
            raise StudyNotFoundError(f"There is no folder {root}.")
        lines = study_lines(root)
    if as_json:
        typer.echo(json.dumps([line.to_json() for line in lines], indent=1))
    elif lines:
        print_studies(console, lines)
    else:
        console.print(Text(f"There are no studies in {where}."), soft_wrap=True)


def copy(study: StudyArgument, name: NewNameArgument) -> None:
    """Copy a study, with all its trials, under another name."""
    from bo_shaping.storage.housekeeping import copy_study

    made = copy_study(find_study(study), name, studies_root())
    console.print(Text(f"Copied to {made.path}; go on with: bo-shaping resume {made.handle}"), soft_wrap=True)


def rename(study: StudyArgument, name: NewNameArgument) -> None:
    """Give a study another name."""
    from bo_shaping.storage.housekeeping import copy_study, delete_study

    folder = find_study(study)
    made = copy_study(folder, name, studies_root())
    delete_study(folder)
    console.print(Text(f"{folder.path.name} is now {made.path.name}, in {made.path}."), soft_wrap=True)


def delete(
    study: StudyArgument,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Delete a study, with all its trials, for good."""
    from bo_shaping.storage.housekeeping import delete_study

    folder = find_study(study)
    folder.refuse_second_driver()
    n_trials, shared = len(folder.records()), folder.config().storage is not None
    if not yes:
        typer.confirm(f"Delete {folder.path.name} ({folder.path}, trials: {n_trials})?", abort=True)
    delete_study(folder)
    left = " What its database holds stays there." if shared else ""
    console.print(Text(f"Deleted {folder.path}.{left}"), soft_wrap=True)


def note(
    study: StudyArgument,
    text: Annotated[
        str | None, typer.Argument(metavar="TEXT", help="What to write down; without it, print all.")
    ] = None,
) -> None:
    """Write something down about a study, which status, list and report show; or read what was."""
    folder = find_study(study)
    if text is not None:
        folder.add_note(text)
        return
    for line in folder.notes():
        console.print(Text(visible_text(line)), soft_wrap=True)
