"""The lease on SQLite and on a real PostgreSQL server, with real processes that die, sleep and wake up."""

import os
import signal
import subprocess
import sys
import time

import pytest
from sqlalchemy import create_engine, text, update

from bo_shaping.errors import FencedError, StorageError, StudyLockedError
from bo_shaping.storage import lease as lease_module
from bo_shaping.storage.database import Database
from bo_shaping.storage.lease import METADATA, Lease
from bo_shaping.storage.lease_holder import Holder


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request, tmp_path):
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'lease.db'}"
    return request.getfixturevalue("postgres")


@pytest.fixture
def engine(url):
    engine = create_engine(url)
    METADATA.create_all(engine)
    yield engine
    engine.dispose()


@pytest.fixture(autouse=True)
def _quick(monkeypatch):
    monkeypatch.setattr(lease_module, "RENEW_SECONDS", 0.05)
    monkeypatch.setattr(lease_module, "WATCH_SECONDS", 0.5)


def lease(engine, study="alpha"):
    return Lease(engine, study, "/home/of/it", "stop it")


def change(engine, **values):
    with engine.begin() as connection:
        connection.execute(update(METADATA.tables["bo_shaping_lease"]).values(**values))


def row(engine):
    with engine.begin() as connection:
        return connection.execute(text("SELECT holder, fence, renewed FROM bo_shaping_lease")).one()


HOLDER = """
import sys, time
from sqlalchemy import create_engine
from bo_shaping.storage import lease
lease.RENEW_SECONDS = 0.05
from bo_shaping.storage.lease import Lease
engine = create_engine(sys.argv[1])
with Lease(engine, "alpha", "/home/of/it", "stop it").held(0) as fence:
    print(fence, flush=True)
    sys.stdin.readline()
    with engine.begin() as connection:
        the_lease = Lease(engine, "alpha", "/home/of/it", "")
        the_lease._fence = fence
        the_lease.renew(connection)
        print("wrote", flush=True)
"""


def start(program, url):
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    return subprocess.Popen([sys.executable, "-c", program, url], text=True, **pipes)


@pytest.fixture
def holder(url, engine):
    """Another process that holds the lease, and writes when it is sent a line."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER, url],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout.readline() == "1\n"
    yield process
    process.kill()
    process.communicate()


def test_the_second_driver_is_told_who_is_the_first(engine, holder):
    with pytest.raises(StudyLockedError, match=rf"'alpha' is being driven by process {holder.pid} on .*; stop it"):
        lease(engine).held(0).__enter__()
    # Another study of the same database is free.
    with lease(engine, "beta").held(0) as fence:
        assert fence == 1


def test_a_lease_that_was_given_back_is_free_and_numbers_grow(engine):
    for above, fence in ((0, 1), (0, 2), (7, 8)):
        with lease(engine).held(above) as got:
            assert got == fence
            assert Holder.from_json(row(engine).holder) == Holder.me()
        assert row(engine).holder == ""


def test_the_lease_of_a_process_that_was_killed_is_free_at_once(engine, holder):
    holder.kill()
    holder.wait()
    with lease(engine).held(0) as fence:
        assert fence == 2


def test_a_process_that_has_the_number_of_the_holder_is_not_the_holder(engine):
    # The process lives, and its number is that of a holder which began at another time.
    other = Holder(**{**Holder.me().__dict__, "started": "12345"})
    assert other.is_dead()
    assert not Holder.me().is_dead()
    with lease(engine).held(0):
        change(engine, holder=other.to_json())
        with lease(engine).held(0) as fence:
            assert fence == 2


def test_a_holder_on_another_machine_is_not_called_dead(engine):
    other = Holder(pid=1, started="1", machine="elsewhere", host="elsewhere")
    with lease(engine).held(0):
        change(engine, holder=other.to_json())
        with pytest.raises(StudyLockedError, match="process 1 on elsewhere"):
            lease(engine).held(0).__enter__()


def test_a_holder_that_sleeps_is_replaced_and_cannot_write_when_it_wakes_up(engine, holder):
    os.kill(holder.pid, signal.SIGSTOP)
    # Since a minute, by the database's clock.
    change(engine, renewed=row(engine).renewed - lease_module.STALE_SECONDS - 1)
    with lease(engine).held(0) as fence:
        assert fence == 2
        os.kill(holder.pid, signal.SIGCONT)
        out, err = holder.communicate("write\n", timeout=60)
        assert "wrote" not in out
        assert "FencedError: Another process has taken the study over" in err
        assert row(engine).fence == 2


@pytest.mark.parametrize("seconds", [-3600, 3600])
def test_a_clock_that_jumps_takes_no_lease_away(engine, holder, seconds):
    # The holder renews all the time: whoever finds the lease old by the clock sees that when it looks again.
    read = Lease._read

    def jumped(self):
        found = read(self)
        return lease_module._Row(found.holder, found.fence, found.renewed, found.now + seconds)

    another = lease(engine)
    another._read = jumped.__get__(another)
    with pytest.raises(StudyLockedError):
        another.held(0).__enter__()


def test_the_background_renews_and_says_so(engine):
    renewed = []
    with lease(engine).held(0, lambda: renewed.append(1)):
        change(engine, renewed=0.0)
        deadline = time.monotonic() + 30
        while row(engine).renewed == 0.0 or not renewed:
            assert time.monotonic() < deadline
            time.sleep(0.01)


def test_of_many_that_want_a_free_lease_one_gets_it(url, engine):
    program = HOLDER.replace("sys.stdin.readline()", "time.sleep(0.2)")
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", program, url], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        for _ in range(3)
    ]
    results = [process.communicate(timeout=120) for process in processes]
    fences = [int(out.split()[0]) for out, _ in results if out]
    # Those that came while another held it were refused; nobody got a number twice.
    assert len(set(fences)) == len(fences) >= 1
    assert all("StudyLockedError" in err for out, err in results if not out)


def test_without_the_lease_nothing_is_written(engine):
    with engine.begin() as connection, pytest.raises(FencedError):
        lease(engine).renew(connection)


@pytest.mark.parametrize("question", [Lease.seen, Lease.home])
def test_a_database_that_cannot_be_asked_is_said_in_a_sentence(tmp_path, question):
    (tmp_path / "study.db").write_bytes(b"rubbish" * 1000)
    lease = Database(f"sqlite:///{tmp_path / 'study.db'}", "rebuild it").lease("alpha", "", "")
    with pytest.raises(StorageError, match=r"study\.db cannot be used \(file is not a database\); rebuild it"):
        question(lease)
