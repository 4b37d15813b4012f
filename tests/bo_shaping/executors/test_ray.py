"""What is special about Ray: a cluster of the study's own, waiting for room, and clusters that are not there."""

import os
import socket
import stat
import subprocess
import sys
from importlib.util import find_spec

import pytest

from bo_shaping import Study
from bo_shaping.errors import ExecutorError
from bo_shaping.executors import make_executor
from bo_shaping.executors.ray_cluster import LocalCluster
from bo_shaping.storage.process_birth import birth_of
from bo_shaping.storage.study_folder import StudyFolder
from inner_loop.io.atomic_file import write_atomically
from tests.bo_shaping.executors.conftest import is_gone


@pytest.fixture(autouse=True)
def _no_cluster_named(monkeypatch):
    monkeypatch.delenv("RAY_ADDRESS", raising=False)


needs_ray = pytest.mark.skipif(find_spec("ray") is None, reason="the extra ray is not installed")


@needs_ray
def test_a_study_starts_a_cluster_of_its_own_and_ends_it(make_config, make_trial, monkeypatch, request):
    if "ray" in sys.modules and os.environ.get("RAY_AUTH_MODE") != "token":
        # Another test's library has imported Ray, which then takes no password any more: in a process of its own.
        subprocess.run(
            [sys.executable, "-m", "pytest", "-q", request.node.nodeid], cwd=request.config.rootpath, check=True
        )
        return
    heads = []
    start = LocalCluster._start
    monkeypatch.setattr(LocalCluster, "_start", lambda self: heads.append(start(self)) or heads[-1])
    study = Study.launch(make_config(executor="ray", budget={"trials": 2}))

    # A trial that asks for a GPU waits, for there is none, and can be stopped; the cluster is then used again.
    config = make_config(executor="ray", workers={"gpus_per_trial": 1})
    executor, folder = make_executor(config, study.folder), make_trial()
    assert stat.S_IMODE((study.path / "workers" / "ray.json").stat().st_mode) == 0o600  # there is a password in it
    executor.start(folder)
    executor.start(folder)
    assert executor.state(folder) == "running"
    executor.stop(folder)
    assert executor.state(folder) == "dead"

    study.run()
    assert set(study.trials()["status"]) == {"completed"}
    (note,) = heads
    assert birth_of(note.head.pid) is None or is_gone(note.head.pid)
    assert not os.path.exists(note.folder)
    assert not (study.path / "workers" / "ray.json").exists()

    # The next cluster of this process has a password of its own.
    make_executor(make_config(executor="ray"), study.folder).close()
    assert len(heads) == 2
    assert heads[0].token != heads[1].token


def test_a_file_with_a_password_is_nobody_elses_to_read(tmp_path):
    file = tmp_path / "ray.json"
    for _ in range(2):
        write_atomically(file, "{}", mode=0o600)
        assert stat.S_IMODE(file.stat().st_mode) == 0o600


@pytest.mark.parametrize(("address", "message"), [("nowhere", "looks like 10.0.0.1:6379"), (None, "No Ray cluster")])
def test_a_cluster_that_is_not_there_is_said_soon(make_config, tmp_path, address, message):
    if address is None:
        with socket.socket() as closed:
            closed.bind(("127.0.0.1", 0))
            address = f"127.0.0.1:{closed.getsockname()[1]}"
    config = make_config(executor="ray", workers={"address": address})
    with pytest.raises(ExecutorError, match=message):
        make_executor(config, StudyFolder(tmp_path))


def test_a_missing_extra_is_named(make_config, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with socket.create_server(("127.0.0.1", 0)) as server:
        config = make_config(executor="ray", workers={"address": f"127.0.0.1:{server.getsockname()[1]}"})
        with pytest.raises(ExecutorError, match=r"pip install 'bo-shaping\[ray\]'"):
            make_executor(config, StudyFolder(tmp_path))
