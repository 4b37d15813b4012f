"""Studies in PostgreSQL: a real server, real connections that are cut."""

import os
import signal

import pytest
from ax.storage.sqa_store import save
from sqlalchemy import create_engine, text

from bo_shaping import Study
from bo_shaping.errors import ConnectionLostError, StorageError, StudyExistsError, StudyLockedError
from bo_shaping.storage import lease as lease_module
from bo_shaping.storage import ledger
from bo_shaping.storage.study_folder import ROOT_VARIABLE


def stored(study):
    experiment = study._ledger._database.load(study.name)
    return [(index, trial.status.name, trial.arm.parameters) for index, trial in experiment.trials.items()]


def cut_connections(url):
    engine = create_engine(url)
    with engine.begin() as connection:
        connection.execute(text("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid()"))
    engine.dispose()


def count(url, table):
    engine = create_engine(url)
    with engine.begin() as connection:
        n = connection.execute(text(f"SELECT count(*) FROM {table}")).scalar()  # noqa: S608
    engine.dispose()
    return n


def test_a_study_in_postgresql_is_what_it_is_in_sqlite(make_config, postgres):
    study = Study.launch(make_config(name="remote", storage=postgres, budget={"trials": 8}))
    study.run(4)
    # A second database in one process.
    local = Study.launch(make_config(name="local", budget={"trials": 8}))
    local.run(7)
    study = Study.load("remote")
    study.run(3)
    assert study.trials().drop(columns="seconds").equals(local.trials().drop(columns="seconds"))
    assert stored(study) == stored(local)
    assert Study.load(postgres).name == "remote"
    assert not study.folder.database_file.exists()


@pytest.mark.parametrize("when", ["between two saves", "in the middle of a save"])
def test_a_connection_that_is_cut_costs_nothing(make_config, postgres, monkeypatch, when):
    study = Study.launch(make_config(storage=postgres, budget={"trials": 4}))
    study.run(1)
    cut = []
    if when == "in the middle of a save":
        original = save.save_or_update_data_for_trials

        def cut_once(**settings):
            if not cut:
                cut.append(1)
                cut_connections(postgres)
            original(**settings)

        monkeypatch.setattr(save, "save_or_update_data_for_trials", cut_once)
        study.run()
        assert cut
    else:
        study.run(on_change=lambda: cut_connections(postgres))
    assert study.trials()["status"].tolist() == ["completed"] * 4
    assert [trial[1] for trial in stored(study)] == ["COMPLETED"] * 4
    assert (count(postgres, "trial_v2"), len(Study.load("closed")._ledger.experiment.lookup_data().df)) == (4, 8)


def test_a_server_that_stays_away_is_named_and_the_study_goes_on_later(make_config, postgres, monkeypatch):
    monkeypatch.setattr(ledger, "RECONNECT_SECONDS", 0.2)
    study = Study.launch(make_config(storage=postgres, budget={"trials": 3}))
    save_trials = study._ledger._database.save_trials

    def away(*_args):
        raise ConnectionLostError("The postgresql database cannot be reached (gone); nothing is lost")

    monkeypatch.setattr(study._ledger._database, "save_trials", away)
    with pytest.raises(StorageError, match="cannot be reached"):
        study.run()
    monkeypatch.setattr(study._ledger._database, "save_trials", save_trials)
    study = Study.load("closed")
    assert len(study.trials()) == 1
    study.run()
    assert [trial[1] for trial in stored(study)] == ["COMPLETED"] * 3
    with pytest.raises(StorageError, match=r"postgresql database cannot be reached \(.*refused"):
        Study.load("closed", make_config(storage="postgresql://nobody:secret@127.0.0.1:1/x", budget={"trials": 3}))


def test_a_database_that_was_emptied_is_filled_again_from_the_journal(make_config, postgres):
    study = Study.launch(make_config(storage=postgres, budget={"trials": 4}))
    study.run(3)
    before = stored(study)
    study._ledger._database.close()
    engine = create_engine(postgres)
    with engine.begin() as connection:
        connection.execute(text("DROP SCHEMA public CASCADE"))
        connection.execute(text("CREATE SCHEMA public"))
    engine.dispose()
    with pytest.raises(StorageError, match=r"holds no experiment; rebuild it with: bo-shaping resume closed --rebuild"):
        Study.load("closed")
    rebuilt = Study.rebuild("closed")
    assert stored(rebuilt) == before
    rebuilt.run()
    assert len(stored(rebuilt)) == 4


def test_a_name_that_the_database_knows_from_elsewhere_is_refused(make_config, postgres, tmp_path, monkeypatch):
    first = Study.launch(make_config(storage=postgres, budget={"trials": 1}))
    monkeypatch.setenv(ROOT_VARIABLE, str(tmp_path / "elsewhere"))
    with pytest.raises(StudyExistsError, match=f"already holds a study 'closed', whose folder is {first.path}"):
        Study.launch(make_config(storage=postgres))
    first.run()


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_a_driver_that_slept_through_its_replacement_cannot_write(make_config, request, monkeypatch, kind):
    url = request.getfixturevalue("postgres") if kind == "postgresql" else None
    monkeypatch.setattr(lease_module, "WATCH_SECONDS", 0.3)
    study = Study.launch(make_config(storage=url, budget={"trials": 3}))
    read_end, write_end = os.pipe()
    pid = os.fork()
    if pid == 0:
        from bo_shaping.running.driver import Driver

        complete = Driver._complete

        def sleep_first(self, index, trial):
            os.kill(os.getpid(), signal.SIGSTOP)
            complete(self, index, trial)

        Driver._complete = sleep_first
        try:
            Study.load("closed").run()
        except BaseException as error:
            os.write(write_end, f"{type(error).__name__}: {error}".encode())
        os._exit(0)
    try:
        os.waitpid(pid, os.WUNTRACED)
        with pytest.raises(StudyLockedError, match=f"process {pid} on "):
            Study.load("closed").run()
        # A minute later:
        os.utime(study.path / "driver.lock", (0, 0))
        database = study._ledger._database
        with database._engine().begin() as connection:
            connection.execute(text("UPDATE bo_shaping_lease SET renewed = renewed - 61"))
        database.close()
        study = Study.load("closed")
        study.run()
        assert study.trials()["status"].tolist() == ["completed"] * 3
        before = study.folder.records()
        os.kill(pid, signal.SIGCONT)
        os.close(write_end)
        with os.fdopen(read_end) as pipe:
            assert pipe.read().startswith("FencedError: ")
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
    after = Study.load("closed")
    assert after.folder.records() == before
    assert [trial[1] for trial in stored(after)] == ["COMPLETED"] * 3
