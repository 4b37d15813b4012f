"""Two machines on one PostgreSQL: processes with identities and folders of their own."""

import json
import logging
import multiprocessing
import os
import shutil
import socket
import time
from contextlib import redirect_stdout

import pytest

from bo_shaping import Study, StudyConfig
from bo_shaping.errors import BoShapingError
from bo_shaping.storage import home, lease_holder
from bo_shaping.storage.home import Home
from bo_shaping.storage.study_folder import ROOT_VARIABLE

PROCESSES = multiprocessing.get_context("forkserver")
# Its children have imported what takes seconds to import.
PROCESSES.set_forkserver_preload(["bo_shaping.study", "bo_shaping.views.status", "tests.bo_shaping.closed_form"])


def be(host, config, code, environment, out):
    """Run code on a machine of that name, in a process of its own."""
    os.environ.clear()
    os.environ.update(environment)
    socket.gethostname = lambda: host
    home._machine = lease_holder._machine = lambda: f"machine of {host}"
    logging.disable(logging.CRITICAL)
    names = {"Study": Study, "StudyConfig": StudyConfig, "config": StudyConfig.model_validate(config)}
    with out.open("w") as stream, redirect_stdout(stream):
        try:
            exec(code, names)  # noqa: S102
        except BoShapingError as error:
            stream.write(f"{type(error).__name__}: {error}")


class Host:
    """A machine with a folder of studies."""

    def __init__(self, name, root, config):
        self.name, self.root, self._config = name, root, config
        self._out = root.parent.with_suffix(".out")

    def start(self, code, **settings):
        environment = {**os.environ, ROOT_VARIABLE: str(self.root)}
        process = PROCESSES.Process(target=be, args=(self.name, self._config | settings, code, environment, self._out))
        process.start()
        return process

    def end(self, process):
        process.join(timeout=120)
        if process.is_alive():
            process.kill()
        assert process.exitcode == 0
        return self._out.read_text().strip()

    def run(self, code, **settings):
        return self.end(self.start(code, **settings))


@pytest.fixture
def hosts(postgres, make_config, tmp_path):
    config = make_config(storage=postgres, budget={"trials": 3}).model_dump(mode="json")
    return [Host(name, tmp_path / name / "studies", config) for name in ("alpha", "beta")]


def bring(one, other):
    """Copy the folder of the study from one machine to another, in place of what is there."""
    shutil.rmtree(other.root / "closed", ignore_errors=True)
    shutil.copytree(one.root / "closed", other.root / "closed")


LOOK = """
from bo_shaping.storage.study_folder import find_study
from bo_shaping.views.status import study_status
print(study_status(find_study("closed")).standing())
"""
LOAD_AND_RUN = "study = Study.load('closed'); study.run(1); print(len(study.folder.records()))"


def test_a_copy_goes_on_only_if_it_has_what_was_done_elsewhere(hosts):
    alpha, beta = hosts
    assert alpha.run("Study.launch(config).run(1); print('ran')") == "ran"
    bring(alpha, beta)
    assert alpha.run(LOAD_AND_RUN) == "2"
    # The folder there has one trial, the database two.
    refused = beta.run(LOAD_AND_RUN)
    assert refused.startswith("StudyExistsError: Study 'closed' was last driven in ")
    assert f"{alpha.root / 'closed'} on alpha, and the folder {beta.root / 'closed'} does not have" in refused
    bring(alpha, beta)
    assert beta.run(LOAD_AND_RUN) == "3"
    # Now it is the first one that is behind.
    assert "was last driven in" in alpha.run(LOAD_AND_RUN)
    bring(beta, alpha)
    assert alpha.run(LOAD_AND_RUN) == "4"


def test_equal_paths_on_two_machines_are_two_studies(hosts):
    alpha, beta = hosts
    assert alpha.run("Study.launch(config).run(1); print('ran')") == "ran"
    # What stands at this path on the second machine is not what stands there on the first.
    alpha.root.rename(alpha.root.with_name("of-alpha"))
    beta.root = alpha.root
    refused = beta.run("Study.launch(config)")
    assert refused.startswith("StudyExistsError: The database already holds a study 'closed', whose folder is ")
    assert f"{alpha.root / 'closed'} on alpha; choose another name" in refused
    # A folder that both share is one study.
    shutil.rmtree(beta.root, ignore_errors=True)
    alpha.root.with_name("of-alpha").rename(alpha.root)
    assert beta.run(LOAD_AND_RUN) == "2"


def test_who_looks_from_one_machine_sees_the_driver_on_the_other(hosts, tmp_path, monkeypatch):
    alpha, beta = hosts
    monkeypatch.setenv("CLOSED_FORM_LOG", str(tmp_path / "log"))
    slow = {"inner_loop": "tests.bo_shaping.closed_form:run_slowly"}
    assert alpha.run("Study.launch(config)", **slow) == ""
    bring(alpha, beta)
    (tmp_path / "hold").touch()
    rows = (
        "from bo_shaping.views.studies_table import lines_of_database as f; print([vars(x) for x in f(config.storage)])"
    )
    assert "'state': 'elsewhere', 'trials': 0, 'budget': None" in beta.run(rows)
    driver = alpha.start(LOAD_AND_RUN, **slow)
    try:
        deadline = time.monotonic() + 60
        while not (tmp_path / "log").exists():
            assert time.monotonic() < deadline
            time.sleep(0.05)
        assert f"driven by process {driver.pid} on alpha, seen " in beta.run(LOOK)
        assert "'state': 'running', 'trials': 1" in beta.run(rows)
        refused = beta.run(LOAD_AND_RUN)
        # Its folder is behind; it would be told who drives the study if it were not.
        assert "was last driven in" in refused
        bring(alpha, beta)
        assert f"is being driven by process {driver.pid} on alpha" in beta.run(LOAD_AND_RUN)
    finally:
        (tmp_path / "hold").unlink()
        assert alpha.end(driver) == "1"
    assert "nobody is driving it" in beta.run(LOOK)


def test_a_home_survives_its_line_and_a_path_alone_is_one_of_an_older_version(tmp_path):
    here = Home.here(tmp_path)
    assert Home.from_text(here.to_text()) == here
    assert here.is_here
    assert Home.from_text("/old/path") == Home("/old/path", "", "")
    assert Home.from_text("/old/path").is_here
    assert not Home(str(tmp_path), "elsewhere", here.machine).is_here
    assert json.loads(here.to_text())["path"] == str(tmp_path)
