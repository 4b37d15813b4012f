"""What README and docs tell people to type: Python runs, commands exist with the options they are given."""

import importlib.util
import re
import shlex
from pathlib import Path

import click
import pytest
import typer

from bo_shaping import Study, StudyConfig, cli
from bo_shaping.storage.study_folder import ROOT_VARIABLE

REPOSITORY = Path(__file__).parents[2]
PAGES = [REPOSITORY / "README.md", REPOSITORY / "CONTRIBUTING.md", *sorted((REPOSITORY / "docs").rglob("*.md"))]
FENCE = re.compile(r"^```(?P<kind>[^\n]*)\n(?P<code>.*?)^```$", re.MULTILINE | re.DOTALL)


def blocks(page, kind):
    """`(line, code)` of the fenced blocks of a kind."""
    text = page.read_text(encoding="utf-8")
    return [
        (text[: found.start()].count("\n") + 2, found["code"])
        for found in FENCE.finditer(text)
        if found["kind"].strip() == kind
    ]


def pages_with(kind):
    pages = [page for page in PAGES if blocks(page, kind)]
    return pytest.mark.parametrize("page", pages, ids=[str(page.relative_to(REPOSITORY)) for page in pages])


@pytest.fixture
def quickstart(tmp_path, monkeypatch):
    """A finished study of that name in the current folder, of trainings that are a formula."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv(ROOT_VARIABLE, raising=False)
    monkeypatch.setenv("PYTHONPATH", str(REPOSITORY))
    settings = {"executor": "inline", "inner_loop": "tests.bo_shaping.closed_form:run_trial", "ppo": {"steps": 2}}
    space = StudyConfig.from_yaml(REPOSITORY / "experiments" / "quickstart.yaml").search_space
    settings |= {"search_space": space, "budget": {"trials": 7}}
    Study.launch(StudyConfig.model_validate({"name": "quickstart", **settings})).run()


@pages_with("python")
def test_python_runs(page, quickstart):
    names = {"__name__": "snippet"}
    for line, code in blocks(page, "python"):
        # Line numbers of a failure are those of the page.
        exec(compile("\n" * (line - 1) + code, str(page), "exec"), names)  # noqa: S102


def commands(page):
    """`(line, words)` of every command in the bash blocks."""
    for line, code in blocks(page, "bash"):
        for number, text in enumerate(code.splitlines()):
            if words := shlex.split(text, comments=True):
                yield line + number, words


@pages_with("bash")
def test_commands_exist(page):
    verbs = typer.main.get_command(cli.app)
    targets = set(re.findall(r"^(\w+):", (REPOSITORY / "Makefile").read_text(), re.MULTILINE))
    for line, words in commands(page):
        where = f"{page.name}:{line}"
        program = Path(words[0]).name
        if program == "bo-shaping":
            verb = verbs.commands[words[1]]
            try:
                verb.make_context(words[1], list(words[2:]), resilient_parsing=False)
            except click.UsageError as error:
                pytest.fail(f"{where}: {error.format_message()}")
        elif words[1:2] == ["-m"]:
            assert importlib.util.find_spec(words[2]), where
        elif program == "make":
            assert set(words[1:]) <= targets, where
        else:
            assert program == "pip", where


def test_the_readme_is_a_door():
    assert len((REPOSITORY / "README.md").read_text(encoding="utf-8").splitlines()) <= 150


@pytest.mark.parametrize("page", PAGES[:2], ids=lambda page: page.name)
def test_links_of_pages_outside_the_documentation_lead_somewhere(page):
    links = re.findall(r"\]\(([^)#\s]+)[^)]*\)", page.read_text(encoding="utf-8"))
    for link in links:
        assert link.startswith("https://") or (page.parent / link).exists(), link


def test_files_that_the_pages_name_exist():
    for page in PAGES:
        for path in re.findall(r"`((?:bo_shaping|inner_loop|experiments|tests)/[\w./]+)`", page.read_text("utf-8")):
            assert (REPOSITORY / path).exists(), f"{page.name} names {path}"
